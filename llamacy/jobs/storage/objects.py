"""Objects of S3 and Google Cloud Storage, with the file systems of pyarrow.

Its addresses are those that Ray and pyarrow know: endpoint, region and the like may be
said in their queries, and keys are found where the makers of the stores have them
looked for, in the environment say. An object appears whole, once all of it was sent.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePosixPath
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from llamacy.errors import ArgumentError, ModelFileError
from llamacy.jobs.packages import pyarrow_filesystems
from llamacy.jobs.storage import Stored
from llamacy.jobs.storage.disk import draft_beside
from llamacy.printable import printable
from llamacy.system.whole_files import file_errors

FoundT = TypeVar("FoundT")

_S3: Final = ("s3",)
_GOOGLE: Final = ("gs", "gcs")
_PATIENCE: Final = "retry_limit_seconds=60"  # of Google's, which is 15 minutes
_IN_PATH: Final = "/%!$&'()*+,;=:@~"  # of an address; others are encoded in it
_DENIED: Final = ("ACCESS_DENIED", "PERMISSION_DENIED")  # in errors of S3, of Google's
_READ_BYTES: Final = 4 * 2**20  # at once: a request takes a tenth of a second


class StoredObject:
    """An object of a store.

    Parameters
    ----------
    name : str
        Name of the argument that it is.
    address : str
        Its address, such as ``"s3://bucket/in.jsonl"``.

    Attributes
    ----------
    path : str
        Its address, without keys and the query.
    suffix : str
        The ending of its name, in small letters.

    Raises
    ------
    ArgumentError
        It is no address of an object that can be used.
    ModelFileError
        The store cannot be reached.
    MissingPackageError
        pyarrow is not installed.
    """

    def __init__(self, name: str, address: str) -> None:
        try:
            parts = urlsplit(address)
            path = quote(parts.path, _IN_PATH)
        except ValueError:  # it may quote keys
            wanted = "an address such as s3://bucket/in.jsonl"
            found = "one that is not well formed"
            raise ArgumentError(f"{name}: wanted {wanted}, found {found}") from None
        bucket = parts.netloc.rpartition("@")[2]
        self.path = urlunsplit((parts.scheme, bucket, parts.path, "", ""))
        if parts.scheme not in _S3 + _GOOGLE:
            wanted = "a path, or an address that begins with s3:// or gs://"
            found = printable(self.path)
            raise ArgumentError(f"{name}: wanted {wanted}, found {found}")
        if parts.fragment:
            raise ArgumentError(f"{name}: wanted %23 for # in an address")
        query = parts.query
        if parts.scheme in _GOOGLE and "retry_limit_seconds=" not in query:
            query = "&".join(filter(None, [query, _PATIENCE]))
        parts = parts._replace(path=path, query=query)
        filesystems = pyarrow_filesystems()
        self._not_found = filesystems.FileType.NotFound
        with self._errors(name):
            found = filesystems.FileSystem.from_uri(urlunsplit(parts))
        self._store, self._key = found
        self.suffix = PurePosixPath(self._key).suffix.lower()
        if not all(self._key.partition("/")):
            wanted = "a bucket and a name"
            found = printable(self.path)
            raise ArgumentError(f"{name}: wanted {wanted}, found {found}")

    def check_readable(self) -> None:
        """Check that it is there."""
        if not self.exists():
            raise ModelFileError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)

    def check_writable(self) -> None:
        """Check that there is its bucket, if the user may look.

        Only writing shows whether the user may write there.
        """
        bucket = self._key.partition("/")[0]
        found = _unless_denied(lambda: self._info(bucket).type)
        if found == self._not_found:
            raise ModelFileError(errno.ENOENT, f"no bucket {bucket}", self.path)

    def exists(self) -> bool:
        """Whether there is one, or a folder of its name.

        Raises
        ------
        ModelFileError
            The store cannot be asked; EACCES if it does not tell this user.
        """
        found = self._info(self._key)
        if found.type not in (self._not_found, type(found.type).File):
            reason = "wanted an object, found a folder"
            raise ModelFileError(errno.EISDIR, reason, self.path)
        return bool(found.type != self._not_found)

    def is_same(self, other: Stored) -> bool:
        """Whether both are one object of one store."""
        if not isinstance(other, StoredObject) or self._key != other._key:
            return False
        return bool(self._store.equals(other._store))

    def open(self) -> io.BufferedReader:
        """Open it for reading, some megabytes at a time."""
        with self._errors():
            file = self._store.open_input_file(self._key)
        return io.BufferedReader(_Reader(file, self._errors), _READ_BYTES)

    def size(self) -> int:
        """Return its bytes."""
        size = self._info(self._key).size
        if size is None:  # it was removed meanwhile
            raise ModelFileError(errno.ENOENT, os.strerror(errno.ENOENT), self.path)
        return int(size)

    def ledger_path(self) -> str:
        """Return the path of a ledger of its name in the folder at hand."""
        return os.path.abspath(f"{PurePosixPath(self._key).name}.part")

    def replace(self, write: Callable[[str], None], ledger: str) -> None:
        """Write a draft beside the ledger, and send it."""
        draft = draft_beside(ledger, ledger)
        try:
            with file_errors(draft):
                write(draft)
                n_bytes = os.path.getsize(draft)
            self._send(draft)
            found = _unless_denied(self.size)
            if found not in (None, n_bytes):
                reason = f"{n_bytes} bytes were sent, and {found} are there"
                raise ModelFileError(errno.EIO, reason, self.path)
        finally:
            with suppress(OSError):
                os.unlink(draft)

    def _send(self, draft: str) -> None:
        # not as a stream: a stream of pyarrow that an exception ends is closed, and
        # half an object would be there
        filesystems = pyarrow_filesystems()
        with self._errors():
            filesystems.copy_files(
                draft,
                self._key,
                source_filesystem=filesystems.LocalFileSystem(),
                destination_filesystem=self._store,
            )

    def _info(self, key: str) -> Any:
        with self._errors():
            return self._store.get_file_info(key)

    @contextmanager
    def _errors(self, name: str = "") -> Iterator[None]:
        """Raise pyarrow's errors in a block as ModelFileError about the object.

        An address that pyarrow refuses is an ArgumentError of the argument `name`.
        """
        try:
            yield
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            if isinstance(error, ValueError):  # ArrowInvalid; it may quote keys
                reason = reason.partition(": 's3://")[0].partition(": 'gs://")[0]
                raise ArgumentError(f"{name or self.path}: {reason}") from None
            if isinstance(error, FileNotFoundError):
                reason = os.strerror(errno.ENOENT)
            is_denied = any(each in reason for each in _DENIED)
            number = error.errno or (errno.EACCES if is_denied else errno.EIO)
            raise ModelFileError(number, reason, self.path) from error


def _unless_denied(look: Callable[[], FoundT]) -> FoundT | None:
    """Return what `look` finds; None if the user, who may write, may not look."""
    try:
        return look()
    except ModelFileError as error:
        if error.errno != errno.EACCES:
            raise
        return None


class _Reader(io.RawIOBase):
    """An object with errors of ours, of which each read asks the store for a part."""

    def __init__(self, file: Any, errors: Callable[[], Any]) -> None:
        self._file, self._errors = file, errors
        with errors():
            self._size = int(file.size())
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n_bytes = min(len(buffer), self._size - self._place)
        if n_bytes <= 0:
            return 0
        with self._errors():
            data = self._file.read_at(n_bytes, self._place)
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = (0, self._place, self._size)[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def close(self) -> None:
        self._file.close()
        super().close()
