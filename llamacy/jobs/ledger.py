r"""The file in which a job keeps its results until it has all of them.

It stands beside the output, and is text. The first line says of which job it is: the
input, the model and all that its results depend on. Then comes a line for each row that
is done, as rows end::

    1f0c29aa [17, 2774529437, {"answer": "Paris", ...}]

with a checksum of the rest of the line, the row's position, a checksum of the row, and
its result. A job that was interrupted resumes with the rows that have no line. A line
that was not written to its end, and anything that a power cut has left behind it, is
cut off. One process at a time has the file.

The output and the ledger cannot change places at once. Before the output gets its name,
a last line, with -1 for a position, says what the output will be: a job that finds both
has ended there.
"""

from __future__ import annotations

import errno
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple, Self

from llamacy.arguments import short
from llamacy.errors import ArgumentError, ModelFileError
from llamacy.jobs.late_sync import LateSync
from llamacy.jobs.rows import to_json
from llamacy.jobs.tasks import Result
from llamacy.system.locks import is_at, try_lock
from llamacy.system.whole_files import file_errors, regular_path, sync_folder

_FORM: Final = "llamacy job 1"
_START: Final = to_json({"is": _FORM})[:-1].encode()
_MAX_HEADER: Final = 64 * 2**20
_OUTPUT: Final = -1  # the position of the line about the output
_OUTPUT_BYTES: Final = 2**12  # of that line at most


class Entry(NamedTuple):
    """A row that is done.

    Attributes
    ----------
    index : int
        Its position.
    check : int
        Its checksum.
    result : dict
        Its result.
    """

    index: int  # type: ignore[assignment]  # of the tuple
    check: int
    result: Result


class Ledger:
    """The results of a job so far; a context manager that closes the file.

    Parameters
    ----------
    path : str
        The file.
    job : dict of dict
        The job: values of JSON by names, in groups; all but what `begin` is given.

    Attributes
    ----------
    path : str
        The file.
    n_done : int
        Rows that it has, once it was begun.

    Raises
    ------
    ArgumentError
        It is of another job; the message says what differs.
    ModelFileError
        Another process is writing it, or it cannot be read or written.
    """

    def __init__(self, path: str, job: dict[str, dict[str, Any]]) -> None:
        self.path = regular_path(path)
        self.n_done = 0
        self._is_begun = False
        self._next = 0  # all rows before it are done
        self._later: set[int] = set()  # of those behind it, the ones that are done
        self._end = 0  # of the last whole line
        self._job = {"is": _FORM, **job}
        with file_errors(self.path):
            self._file = self._locked()
        self._late_sync = LateSync(self._file)
        try:
            self._check(self._job)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and remove it if there is nothing to resume."""
        if self._file.closed:
            return
        self._late_sync.stop()
        with suppress(OSError):  # the disk is full, as the first error says
            is_empty = os.fstat(self._file.fileno()).st_size == 0
            if is_empty or (self._is_begun and not self.n_done):
                self.remove()
            elif self.n_done:
                self.sync()
        self._file.close()

    def begin(self, **groups: dict[str, Any]) -> None:
        """Check or write the header, note the rows that are done, cut off the rest.

        Parameters
        ----------
        **groups : dict
            The rest of the job.

        Raises
        ------
        ArgumentError
            The file is of another job.
        """
        job = {**self._job, **groups}
        found = self._check(job)
        with file_errors(self.path):
            if not found:
                found = (to_json(job) + "\n").encode("utf-8", "replace")
                self._file.truncate(0)
                self._write(found)
                self.sync()
                sync_folder(self.path)
            self._end = len(found)
            for place, line in self._lines():
                if (entry := _entry(line)) is None:
                    break
                self._note(entry.index)
                self._end = place + len(line)
            self._file.truncate(self._end)
        self._is_begun = True

    def has(self, index: int) -> bool:
        """Whether a row is done."""
        return index < self._next or index in self._later

    def add(self, index: int, check: int, result: Result) -> None:
        """Note a row's result, unless the row has one.

        A process that is killed keeps it; `sync` keeps it from a power cut.

        Raises
        ------
        ModelFileError
            It cannot be written: the disk is full.
        """
        if self.has(index):
            return
        text = to_json([index, check, result]).encode("utf-8", "replace")
        with file_errors(self.path):
            self._write(_line(text))
        self._note(index)

    def sync_soon(self) -> None:
        """Have all results on the disk in half a second, by another thread.

        Raises
        ------
        ModelFileError
            The disk has failed meanwhile.
        """
        with file_errors(self.path):
            self._late_sync.start()

    def sync(self) -> None:
        """Have all results on the disk."""
        with file_errors(self.path):
            os.fsync(self._file.fileno())

    def note_output(self, output: dict[str, Any]) -> None:
        """Say what the output will be, on the disk, before the output has its name."""
        text = to_json([_OUTPUT, 0, output]).encode()
        with file_errors(self.path):
            self._write(_line(text))
        self.sync()

    def output(self) -> dict[str, Any] | None:
        """Return what was said of the output, unless rows were done since."""
        with file_errors(self.path), open(self.path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _OUTPUT_BYTES))
            lines = file.read().splitlines(keepends=True)
        entry = _entry(lines[-1]) if lines else None
        return entry.result if entry and entry.index == _OUTPUT else None

    def results(self) -> Iterator[Entry]:
        """Yield the rows that are done in the order of their positions.

        It ends before the first row that is not done.
        """
        waiting: dict[int, int] = {}  # rows that come later, with their lines' places
        n = 0
        for place, line in self._lines():
            entry = _entry(line)
            assert entry is not None
            if entry.index > n:
                waiting.setdefault(entry.index, place)
            elif entry.index == n:
                yield entry
                n += 1
                while (found := waiting.pop(n, None)) is not None:
                    yield self._at(found)
                    n += 1

    def remove(self) -> None:
        """Remove the file, once the output has all that is in it."""
        self._late_sync.stop()
        if os.name == "nt":  # an open file cannot be removed there
            self._file.close()
        with file_errors(self.path):
            os.unlink(self.path)
        self._file.close()  # last: it frees the lock

    def _locked(self) -> Any:
        """Open the file, which only this process has then."""
        while True:
            file = open(self.path, "ab+", buffering=0)
            if not try_lock(file):
                file.close()
                raise ModelFileError(
                    errno.EBUSY, "another process is writing it", self.path
                )
            if is_at(file, self.path):
                return file
            file.close()  # the process that had it has removed it meanwhile

    def _check(self, job: dict[str, Any]) -> bytes:
        """Check what a whole header says of a job, and return it; else nothing."""
        with file_errors(self.path), open(self.path, "rb") as file:
            found = file.readline(_MAX_HEADER)
        if not found.endswith(b"\n") and len(found) < _MAX_HEADER:
            is_begun = found[: len(_START)] == _START[: len(found)]
            if is_begun or not found.strip(b"\0"):
                return b""  # there are no rows behind it
        _check_same(self.path, found, json.loads(to_json(job)))
        return found

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines below the header with their places in the file."""
        with file_errors(self.path), open(self.path, "rb") as file:
            place = len(file.readline(_MAX_HEADER))
            for line in file:
                yield place, line
                place += len(line)

    def _at(self, place: int) -> Entry:
        with file_errors(self.path), open(self.path, "rb") as file:
            file.seek(place)
            entry = _entry(file.readline())
        assert entry is not None
        return entry

    def _note(self, index: int) -> None:
        if index == _OUTPUT or self.has(index):
            return
        self.n_done += 1
        self._later.add(index)
        while self._next in self._later:
            self._later.remove(self._next)
            self._next += 1

    def _write(self, data: bytes) -> None:
        """Write all of it, or nothing that the next line would follow."""
        view = memoryview(data)
        n_written = 0
        try:
            while n_written < len(view):
                n_written += self._file.write(view[n_written:])
        except BaseException:
            with suppress(OSError):
                self._file.truncate(self._end)
            raise
        self._end += n_written


def _line(text: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> Entry | None:
    """Return the row of a line; None if the line is not sound."""
    check, _, text = line.partition(b" ")
    if not text.endswith(b"\n") or check != b"%08x" % zlib.crc32(text[:-1]):
        return None
    return Entry(*json.loads(text))


def _check_same(path: str, found: bytes, ours: dict[str, Any]) -> None:
    """Check that a header is that of a job.

    Raises
    ------
    ArgumentError
        The message says what differs.
    """
    try:
        theirs = json.loads(found)
    except (ValueError, RecursionError):
        theirs = None
    if not isinstance(theirs, dict) or theirs.get("is") != _FORM:
        raise ArgumentError(f"{path}: wanted the ledger of a job, found another file")
    differences = [
        text
        for group in ours
        if group != "is"
        for text in _differences(group, theirs.get(group), ours[group])
    ]
    if differences:
        raise ArgumentError(
            f"{path} is of another job, with {'; '.join(differences)}: remove it to "
            "begin anew, or choose another name"
        )


def _differences(group: str, theirs: Any, ours: dict[str, Any]) -> Iterator[str]:
    if not isinstance(theirs, dict):
        theirs = {}
    names = [*ours, *(name for name in theirs if name not in ours)]
    for name in names:
        there, here = theirs.get(name), ours.get(name)
        if there != here:
            yield f"{group} {name} {short(there)}, not {short(here)}"
