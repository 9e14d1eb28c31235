"""Files that are there whole or not at all: drafts beside the places they take.

What goes wrong before that, Ctrl-C too, leaves what was there before, and no draft.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from llamacy.errors import ModelFileError

Path = str | os.PathLike[str]


@contextmanager
def new_file(path: Path, *, n_bytes: int = 0, private: bool = False) -> Iterator[str]:
    """Give the path of a draft, an empty file, which becomes the file when all is well.

    A link stays one: what it leads to is replaced. A file that is replaced leaves its
    permissions to the new one. What the block raises is raised as it is.

    Parameters
    ----------
    path : of the file.
    n_bytes : how large it will be at least.
    private : nobody but its owner may read the file, if there was none before.

    Raises
    ------
    ModelFileError : there is something else than a file, as a device, or no folder, or
        no room on the disk; or the draft cannot be made or take its place.
    """
    target = regular_path(path)
    _check_room(path, os.path.dirname(target), n_bytes)
    # Not named after the file, whose name may be as long as a name can be.
    name = f"llamacy-{secrets.token_hex(8)}.part"
    draft = os.path.join(os.path.dirname(target), name)
    try:
        with file_errors(path):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            os.close(os.open(draft, flags, 0o600 if private else 0o666))
            if os.path.exists(target):
                shutil.copymode(target, draft)
        yield draft
        with file_errors(path):
            _sync(draft)
            os.replace(draft, target)
    except BaseException:
        with suppress(OSError):  # it is the first error that counts
            os.unlink(draft)
        raise


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Raise an OSError of writing as the typed one, about `path` and not its draft."""
    try:
        yield
    except OSError as error:
        # NumPy says how much of an array it wrote, but not why no more
        reason = error.strerror or f"written in part, the disk may be full ({error})"
        raise ModelFileError(error.errno or errno.EIO, reason, _shown(path)) from error


def regular_path(path: Path) -> str:
    """Where `path`, which may be a link, leads to: a file, or nothing yet.

    Raises
    ------
    ModelFileError : to something else than a file, as a device, which writing would
        replace, and which reading might wait for.
    """
    try:
        target = os.path.realpath(os.fsdecode(path))
        exists = os.path.lexists(target)
    except (OSError, ValueError) as error:  # such as of a null byte
        raise ModelFileError(errno.EINVAL, str(error), _shown(path)) from error
    if exists and not os.path.isfile(target):
        kind = "a folder" if os.path.isdir(target) else "not a regular file"
        number = errno.EISDIR if os.path.isdir(target) else errno.EINVAL
        raise ModelFileError(number, f"wanted a file, found {kind}", _shown(path))
    return target


def _check_room(path: Path, folder: str, n_bytes: int) -> None:
    """Find out before the work what would fail after it."""
    if not os.path.isdir(folder):
        raise ModelFileError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    with file_errors(path):
        free = shutil.disk_usage(folder).free
    if n_bytes > free:
        reason = f"no space for {n_bytes} bytes, {free} are free"
        raise ModelFileError(errno.ENOSPC, reason, _shown(path))


def _sync(draft: str) -> None:
    """See it on the disk: after a power cut the place must not hold an empty file."""
    with open(draft, "rb+") as file:
        os.fsync(file.fileno())


def _shown(path: Path) -> str:
    return os.fsdecode(path)
