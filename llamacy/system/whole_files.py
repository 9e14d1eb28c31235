"""Atomic file writes: a draft beside the target replaces it once it is complete.

Any failure before that, including Ctrl-C, leaves the old file and removes the draft.
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
def new_file(
    path: Path, *, n_bytes: int = 0, private: bool = False, draft: str | None = None
) -> Iterator[str]:
    """Yield the path of an empty draft, which becomes the file if the block succeeds.

    The target of a link is replaced, not the link. The new file has the permissions of
    the file that it replaces. Exceptions of the block are passed on.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    n_bytes : int
        Its expected size at least.
    private : bool
        Whether a new file is readable by its owner only.
    draft : str, optional
        Path of the draft, in the file's folder, for a file that one process at a time
        writes: the draft that a killed one has left is replaced. By default a new name.

    Yields
    ------
    str
        Path of the draft.

    Raises
    ------
    ModelFileError
        The path exists but is not a file, its folder does not exist, the disk is too
        small, or the draft cannot be created or replace the file.
    """
    target = regular_path(path)
    _check_room(path, os.path.dirname(target), n_bytes)
    is_known = draft is not None
    if draft is None:
        # not derived from the file's name, which may have the maximum length already
        name = f"llamacy-{secrets.token_hex(8)}.part"
        draft = os.path.join(os.path.dirname(target), name)
    try:
        with file_errors(path):
            if is_known:
                with suppress(FileNotFoundError):
                    os.unlink(draft)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            os.close(os.open(draft, flags, 0o600 if private else 0o666))
            if os.path.exists(target):
                shutil.copymode(target, draft)
        yield draft
        with file_errors(path):
            _sync(draft)
            os.replace(draft, target)
    except BaseException:
        with suppress(OSError):  # the first error is the cause
            os.unlink(draft)
        raise


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Raise an OSError in the block as ModelFileError about `path`, not its draft."""
    try:
        yield
    except OSError as error:
        # NumPy states how much of an array it wrote, but not the reason
        reason = error.strerror or f"written in part, the disk may be full ({error})"
        raise ModelFileError(error.errno or errno.EIO, reason, _shown(path)) from error


def regular_path(path: Path) -> str:
    """Resolve links; check that the result is a regular file or does not exist.

    Raises
    ------
    ModelFileError
        The result is a folder or, say, a device: writing would replace it, and reading
        could block.
    """
    try:
        target = os.path.realpath(os.fsdecode(path))
        exists = os.path.lexists(target)
    except (OSError, ValueError) as error:  # such as for a null byte
        raise ModelFileError(errno.EINVAL, str(error), _shown(path)) from error
    if exists and not os.path.isfile(target):
        kind = "a folder" if os.path.isdir(target) else "not a regular file"
        number = errno.EISDIR if os.path.isdir(target) else errno.EINVAL
        raise ModelFileError(number, f"wanted a file, found {kind}", _shown(path))
    return target


def sync_folder(path: Path) -> None:
    """Have the names in a file's folder on the disk, as a new file's is.

    Windows does so by itself, and some file systems cannot.
    """
    if os.name == "nt":
        return
    folder = os.open(os.path.dirname(os.path.realpath(path)), os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(folder)
    finally:
        os.close(folder)


def _check_room(path: Path, folder: str, n_bytes: int) -> None:
    """Raise now if writing is certain to fail later."""
    if not os.path.isdir(folder):
        raise ModelFileError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    with file_errors(path):
        free = shutil.disk_usage(folder).free
    if n_bytes > free:
        reason = f"no space for {n_bytes} bytes, {free} are free"
        raise ModelFileError(errno.ENOSPC, reason, _shown(path))


def _sync(draft: str) -> None:
    """Flush to disk, so that a power failure cannot leave an empty file."""
    with open(draft, "rb+") as file:
        os.fsync(file.fileno())


def _shown(path: Path) -> str:
    return os.fsdecode(path)
