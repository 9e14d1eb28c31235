"""Whether a model fits into the memory of this machine."""

from __future__ import annotations

from typing import Final

YES_OR_NO: Final = {True: "yes", False: "no", None: "unknown"}


def fits(needed: int, available: int | None) -> bool | None:
    """Whether memory suffices; None if the system does not say how much there is."""
    return None if available is None else needed <= available
