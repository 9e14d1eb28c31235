"""What names a model: a path, or the word for the one that comes with the package."""

from __future__ import annotations

import os
from pathlib import Path

from llamacy.errors import ArgumentError

DEMO = "demo"
_DEMO_FILE = Path(__file__).parent / "data" / "demo.gguf"


def locate(source: str | os.PathLike[str]) -> Path:
    """Find the file that `source` names.

    ``"demo"`` is the bundled model; a file of that name is ``"./demo"``.

    Raises
    ------
    ArgumentError : `source` is neither a path nor a name.
    """
    if not isinstance(source, str | os.PathLike):
        raise ArgumentError(f"source: wanted a path, found {source!r}")
    return _DEMO_FILE if source == DEMO else Path(source)
