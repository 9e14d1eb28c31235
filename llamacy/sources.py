"""What names a model: a path, the word for the bundled one, or a name on the hub."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from llamacy.errors import ArgumentError

DEMO = "demo"
_DEMO_FILE = Path(__file__).parent / "data" / "demo.gguf"


def locate(
    source: str | os.PathLike[str],
    *,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Find the file that `source` names; fetch it from the hub if need be.

    ``"demo"`` is the bundled model; a file of that name is ``"./demo"``. A path that
    exists is that path. ``"user/repo:Q4_K_M"`` and the like (see
    :mod:`llamacy.hub.names`) are names on the hub, which ``"hf://user/repo"`` is even
    if there is such a path. Anything else is a path.

    Parameters
    ----------
    source : a path or a name; what is no str, as a `Path`, is always a path.
    progress : called with the share of a transfer that is done, 0.0 to 1.0.

    Raises
    ------
    ArgumentError : `source` is neither a path nor a name.
    LlamacyError : what :func:`llamacy.pull` raises, if it is not in the cache.
    """
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError(f"source: wanted a path or a name, found {source!r}")
    if source == DEMO:
        return _DEMO_FILE
    if isinstance(source, str) and "/" in source and not os.path.exists(source):
        from llamacy.hub import find_or_pull
        from llamacy.hub.names import parse_name

        name = parse_name(source)
        if name is not None:
            return find_or_pull(name, progress)
    return Path(source)
