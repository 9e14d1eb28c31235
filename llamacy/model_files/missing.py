"""The error for a model that is not there: what is near, and what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from llamacy.errors import ModelFileError

UNFINISHED: Final = (".part", ".incomplete", ".crdownload", ".download", ".aria2")
"""Endings that programs give to files while they download them."""

_ALIKE: Final = 0.6  # of two file names' letters
_MOST: Final = 3  # files named
_SCANNED: Final = 1000  # entries of a folder looked at
_TRIED: Final = "llamacy models lists some that run"


def check_exists(source: str | os.PathLike[str]) -> None:
    """Raise if there is certainly nothing at a path that a user gave.

    A path that cannot be looked at is left to be opened, which says why.

    Raises
    ------
    ModelFileError
        There is no such file or folder; the message names those that are near.
    """
    try:
        os.stat(source)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise not_found(os.fspath(source), error.errno or errno.ENOENT) from None
    except (OSError, ValueError):
        pass


def not_found(source: str, number: int = errno.ENOENT) -> ModelFileError:
    """Return the error for a path that does not exist, and is not a known name."""
    reason = "; ".join(["no such file or folder", *_advice(source)])
    return ModelFileError(number, reason, source)


def _advice(source: str) -> Iterator[str]:
    """Yield sentences that may help, the best first."""
    # imported here, as the cache need not be read unless something is missing
    from llamacy.hub.addresses import is_address
    from llamacy.hub.names import NAME_FORMS
    from llamacy.hub.near_misses import either, similar_names

    if is_address(source):
        yield "only addresses of huggingface.co are fetched: download it yourself"
        return
    path = Path(source)
    parts = [
        f"{source}{ending}" for ending in UNFINISHED if os.path.exists(source + ending)
    ]
    if parts:
        yield f"there is {parts[0]}, an unfinished download"
    if files := _near_files(path):
        yield f"did you mean {either(files)}?"
    elif names := similar_names(source):
        yield f"on the hub: {either(names)}"
    elif not path.is_absolute() and "/" in source and not source.startswith("."):
        yield f"a model on the hub is {NAME_FORMS}"
    elif not path.suffix:
        yield f"{_TRIED}, and {NAME_FORMS} is fetched"


def _near_files(path: Path) -> list[str]:
    """Return files and folders of models beside `path` with names like its own."""
    models = {_stem(entry): entry for entry in _models_in(path.parent)}
    wanted = _stem(path.name)
    found = get_close_matches(wanted, models, _MOST, _ALIKE)
    if not found:  # a name that lacks its end, such as the type of the weights
        found = sorted(each for each in models if wanted and each.startswith(wanted))
    return [str(path.with_name(models[each])) for each in found[:_MOST]]


def _stem(name: str) -> str:
    return name.lower().removesuffix(".gguf")


def _models_in(folder: Path) -> Iterator[str]:
    """Yield the names of GGUF files in a folder, and of folders with a config.json."""
    try:
        with os.scandir(folder) as entries:
            for entry, _ in zip(entries, range(_SCANNED), strict=False):
                if entry.name.lower().endswith(".gguf"):
                    yield entry.name
                elif entry.is_dir() and os.path.exists(
                    os.path.join(entry, "config.json")
                ):
                    yield entry.name
    except (OSError, ValueError):
        return
