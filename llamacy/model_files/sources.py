"""What names a model: a path, the word for the bundled one, or a name on the hub."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from llamacy.errors import ArgumentError
from llamacy.ggml.file_types import FileType, find_file_type

DEMO = "demo"
_DEMO_FILE = Path(__file__).with_name("demo.gguf")


class Source(NamedTuple):
    """A model that was found.

    Attributes
    ----------
    path : a file, or a folder of safetensors.
    type : what its weights are to become on the way in, as the name of a folder on the
        hub may say, ``"user/repo:Q4_K_M"``; None if they stay as they are.
    """

    path: Path
    type: FileType | None = None

    def file_type(self, given: str | None, argument: str) -> FileType | None:
        """Find what the weights are to become, None if nothing says.

        Parameters
        ----------
        given : what an argument says, if it says something.
        argument : its name.

        Raises
        ------
        ArgumentError : there is no such type, or the source's name says another.
        """
        if given is None:
            return self.type
        file_type = find_file_type(given, argument=argument)
        if self.type not in (None, file_type):
            wanted = f"wanted {self.type.name}, as the model's name says"
            raise ArgumentError(f"{argument}: {wanted}, found {given!r}")
        return file_type


def locate(
    source: str | os.PathLike[str],
    *,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Find the file or folder that `source` names, as :func:`find_source` does."""
    return find_source(source, progress=progress).path


def find_source(
    source: str | os.PathLike[str],
    *,
    progress: Callable[[float], None] | None = None,
) -> Source:
    """Find what `source` names; fetch it from the hub if need be.

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
        return Source(_DEMO_FILE)
    if isinstance(source, str) and "/" in source and not os.path.exists(source):
        from llamacy.hub import find_or_pull
        from llamacy.hub.names import parse_name

        name = parse_name(source)
        if name is not None:
            path = find_or_pull(name, progress)
            if not path.is_dir():
                return Source(path)
            from llamacy.hub.folders import wanted_type

            return Source(path, wanted_type(name))
    return Source(Path(source))
