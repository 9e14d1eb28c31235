"""Finds a model by a path, a name on the hub, or `"demo"`, the bundled model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llamacy.arguments import is_path, short
from llamacy.errors import ArgumentError, HubConnectionError
from llamacy.ggml.file_types import FileType, find_file_type
from llamacy.model_files.missing import check_exists

if TYPE_CHECKING:
    from llamacy.hub.names import HubName

DEMO = "demo"
_DEMO_FILE = Path(__file__).with_name("demo.gguf")
_FILE_ENDING = re.compile(r"\.[A-Za-z]{2,}$")


class Source(NamedTuple):
    """A model that was found.

    Attributes
    ----------
    path : Path
        A file, or a folder of safetensors.
    type : FileType or None
        The file type to quantise to, from the name of a folder on the hub, such as
        `"user/repo:Q4_K_M"`; None leaves the weights as they are.
    """

    path: Path
    type: FileType | None = None

    def file_type(self, name: str | None, argument: str) -> FileType | None:
        """Return the file type to quantise to; None leaves the weights as they are.

        Parameters
        ----------
        name : str or None
            The value of the caller's argument; None defers to the source's own type.
        argument : str
            Name of the caller's argument, for errors.

        Raises
        ------
        ArgumentError
            The type is unknown, or contradicts the source's own.
        """
        if name is None:
            return self.type
        file_type = find_file_type(name, argument=argument)
        if self.type not in (None, file_type):
            wanted = f"wanted {self.type.name}, as the model's name says"
            raise ArgumentError(f"{argument}: {wanted}, found {short(name)}")
        return file_type


def locate(
    source: str | os.PathLike[str],
    *,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Find the file or folder that `source` names, as `find_source` does."""
    return find_source(source, progress=progress).path


def find_source(
    source: str | os.PathLike[str],
    *,
    progress: Callable[[float], None] | None = None,
    argument: str = "source",
) -> Source:
    """Find the model that `source` names; download it from the hub if necessary.

    `"demo"` is the bundled model; a file of that name is `"./demo"`. An existing path
    is a path. Strings such as `"user/repo:Q4_K_M"` (see `llamacy.hub.names`) are names
    on the hub; `"hf://user/repo"` is one even if there is such a path, and so is the
    address of a page of the hub. Any other string is a path, in which `~` is the home
    folder.

    Parameters
    ----------
    source : str or os.PathLike
        A path or a name; a `Path` is always a path.
    progress : callable, optional
        Called with the share of a download, 0.0 to 1.0.
    argument : str, default "source"
        Name of the caller's argument, for errors.

    Returns
    -------
    Source
        The model's path and type.

    Raises
    ------
    ArgumentError
        `source` is neither a path nor a name.
    HubError
        The model is not in the cache and cannot be downloaded, as for `llamacy.pull`.
    ModelFileError
        There is no such file or folder, and the message names those that are near; or
        as for `llamacy.pull`.
    FormatError
        As for `llamacy.pull`.
    """
    if not is_path(source) or source == "":  # as of a shell's variable that is not set
        wanted = "wanted a path or a name"
        raise ArgumentError(f"{argument}: {wanted}, found {short(source)}")
    if source == DEMO:
        return Source(_DEMO_FILE)
    if os.fsdecode(source).startswith("~") and not os.path.exists(source):
        expanded = os.path.expanduser(source)  # as the shell does outside quotes
        source = expanded if isinstance(source, str) else Path(expanded)
    if isinstance(source, str) and "/" in source and not os.path.exists(source):
        from llamacy.hub.names import parse_name

        name = parse_name(source)
        if name is not None:
            path = _found_or_pulled(source, name, progress)
            if not path.is_dir():
                return Source(path)
            from llamacy.hub.folders import wanted_type

            return Source(path, wanted_type(name))
    check_exists(source)
    return Source(Path(source))


def _found_or_pulled(
    source: str, name: HubName, progress: Callable[[float], None] | None
) -> Path:
    """Return the path of a model on the hub; an error also answers for a path."""
    from llamacy.hub import find_or_pull

    try:
        return find_or_pull(name, progress)
    except HubConnectionError as error:
        if source != name.repo or not _FILE_ENDING.search(source):
            raise
        raise HubConnectionError(
            f"{source}: no such file or folder; taken for a name on the hub, {error}"
        ) from error
