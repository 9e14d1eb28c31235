"""The file in which `llamacy embed` keeps its vectors until it has all of them.

It begins with a line of JSON that says how they were made; then it has a record of one
size for each text, with a checksum of the text. A run that was ended in any way is gone
on with after the last whole record, if it is the same run: the same model, the same
options, the same texts. Only one process at a time has the file, where there are locks.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from llamacy.cli.failures import UsageError
from llamacy.system.locks import try_lock
from llamacy.system.whole_files import file_errors, regular_path

_MAGIC: Final = "llamacy embed 1"
_MOST_HEADER: Final = 1 << 20
_N_PIECE: Final = 4096  # records that are in memory at once


class VectorStore:
    """Vectors on disk, a record for each text; a context manager that closes the file.

    Parameters
    ----------
    target : str
        The file that will have the result; the store stands beside it.
    run : dict
        The model and the options, by names.
    n_dim : int
        Numbers of a vector.

    Attributes
    ----------
    path : str
        The store.
    n_done : int
        Texts whose vectors it has.

    Raises
    ------
    UsageError
        The store is of another run, or another process is writing it.
    ModelFileError
        It cannot be read or written.
    """

    def __init__(self, target: str, run: dict[str, Any], n_dim: int) -> None:
        self.path = f"{regular_path(target)}.part"
        fields = [("crc", "<u4"), ("n_tokens", "<u4"), ("vector", "<f4", (n_dim,))]
        self._kind = np.dtype(fields)
        header = json.dumps({"is": _MAGIC, "n_dim": n_dim, **run}, sort_keys=True)
        self._header = header.encode() + b"\n"
        with file_errors(self.path):
            self._file = open(self.path, "ab+")  # noqa: SIM115 -- closed by the block
        try:
            if not try_lock(self._file):
                raise UsageError(f"{self.path}: another process is writing it")
            with file_errors(self.path):
                self.n_done = self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> int:
        """Check or write the header; cut off half a record, and count whole ones."""
        self._file.seek(0)
        found = self._file.readline(_MOST_HEADER)
        if found and found != self._header and not self._header.startswith(found):
            other = _difference(found, self._header)
            raise UsageError(
                f"{self.path} is of another run, with {other}: "
                "remove it, or choose another name"
            )
        if found != self._header:
            self._file.truncate(0)
            self._file.write(self._header)
            self._file.flush()
        n_bytes = self._file.seek(0, os.SEEK_END) - len(self._header)
        n_done = n_bytes // self._kind.itemsize
        self._file.truncate(len(self._header) + n_done * self._kind.itemsize)
        return n_done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        try:
            self._file.close()
        except OSError:  # the disk is full, as the first error says
            if kind is None:
                raise
        if not self.n_done:  # nothing to go on with
            with suppress(OSError):
                os.unlink(self.path)

    def has(self, index: int, text: str) -> bool:
        """Whether the record of a number is that of a text."""
        with file_errors(self.path):
            self._file.seek(len(self._header) + index * self._kind.itemsize)
            crc = np.frombuffer(self._file.read(4), "<u4")
        return bool(len(crc) and crc[0] == _checksum(text))

    def add(
        self,
        texts: Sequence[str],
        n_tokens: Sequence[int],
        vectors: NDArray[np.float32],
    ) -> None:
        """Add the vectors of texts."""
        records = np.empty(len(texts), self._kind)
        records["crc"] = [_checksum(text) for text in texts]
        records["n_tokens"] = n_tokens
        records["vector"] = vectors
        with file_errors(self.path):
            self._file.write(records.tobytes())
            self._file.flush()
        self.n_done += len(texts)

    def pieces(self) -> Iterator[NDArray[Any]]:
        """Yield all records, some at a time, with `n_tokens` and `vector`."""
        with file_errors(self.path):
            self._file.seek(len(self._header))
            while data := self._file.read(_N_PIECE * self._kind.itemsize):
                yield np.frombuffer(data, self._kind)

    def remove(self) -> None:
        """Remove the file, once the result has all that is in it."""
        self._file.close()
        Path(self.path).unlink(missing_ok=True)


def _checksum(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _difference(found: bytes, wanted: bytes) -> str:
    """Return what of a run is another, by its name."""
    try:
        theirs, ours = json.loads(found), json.loads(wanted)
        names = [name for name in ours if theirs.get(name) != ours[name]]
    except (ValueError, AttributeError):
        names = []
    return f"another {', '.join(names)}" if names else "other contents"
