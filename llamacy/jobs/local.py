"""Jobs of this process: an input, an output and the ledger beside it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from io import BufferedReader
from itertools import islice
from time import monotonic
from typing import Any, Final

from llamacy.arguments import (
    check_callback,
    checked_flag,
    checked_integer,
    checked_path,
    short,
)
from llamacy.errors import ArgumentError, ModelFileError
from llamacy.generation.cancelling import CancelToken, check_cancel
from llamacy.jobs.answering import Answer, answers
from llamacy.jobs.columns import ColumnTask
from llamacy.jobs.identity import identity_of_model
from llamacy.jobs.ids import check_ids
from llamacy.jobs.inputs import LINES, Input, identity_of, open_input
from llamacy.jobs.ledger import Entry, Ledger
from llamacy.jobs.ordering import windows
from llamacy.jobs.outputs import (
    Answered,
    check_new,
    check_same,
    checked_target,
    writer_of,
)
from llamacy.jobs.progress import JobProgress, Meter, OnProgress
from llamacy.jobs.rows import Row
from llamacy.jobs.storage import is_address
from llamacy.jobs.storage.disk import StoredFile
from llamacy.jobs.tasks import Task
from llamacy.model.model import Model
from llamacy.printable import printable
from llamacy.system.whole_files import file_errors

_TOLD_SECONDS: Final = 0.2  # between two calls of `progress`


class LocalJob:
    """A job that is checked as far as it can be without the model.

    A context manager: no other process can begin the same job meanwhile.

    Parameters
    ----------
    source : str or os.PathLike
        The input.
    target : str or os.PathLike
        The output.
    task : Task
        Makes a call of each row.
    limit : int, optional
        Most rows, from the first one.
    overwrite : bool, default False
        Whether an output that exists is replaced.
    ledger : str or os.PathLike, optional
        The file of the results so far; by default the output's name and ``.part``.

    Attributes
    ----------
    task : Task
        The task.
    target : str
        The output.

    Raises
    ------
    ArgumentError
        A file of an unknown form, without rows, or without a column that the task
        needs; a ledger of another job.
    ModelFileError
        A file cannot be read or written, or the output exists.
    FormatError
        The input is broken.
    MissingPackageError
        A file needs pyarrow, which is not installed.
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        task: Task,
        *,
        limit: int | None = None,
        overwrite: bool = False,
        ledger: str | os.PathLike[str] | None = None,
    ) -> None:
        self._limit = None if limit is None else checked_integer("limit", limit, 1)
        overwrite = checked_flag("overwrite", overwrite)
        self.task = task
        self._source = open_input(source)
        check_columns(task, self._source)
        self._target = checked_target(target, self._source.file, task)
        self.target = self._target.path
        job = {"input": identity_of(self._source.file), "job": task.identity}
        self._ledger = Ledger(self._ledger_path(ledger), job)
        try:
            # with the lock: the job that had it may have ended meanwhile
            self._is_written = self._has_output()
            if not self._is_written:
                check_new(self._target, overwrite=overwrite)
            if task.fields is None:
                check_ids(self._source, self._limit)
        except BaseException:
            self._ledger.close()
            raise

    def __enter__(self) -> LocalJob:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ledger.close()

    def run(
        self,
        model: Model,
        *,
        progress: OnProgress | None = None,
        cancel: CancelToken | None = None,
    ) -> JobProgress:
        """Do the rows that are left, and write the output.

        Parameters
        ----------
        model : Model
            The model.
        progress : callable, optional
            Called with a `JobProgress` now and then.
        cancel : CancelToken, optional
            Once it is set, the job ends after the pass at hand, and can be resumed.

        Returns
        -------
        JobProgress
            Its `is_complete` is False if it was cancelled.

        Raises
        ------
        ArgumentError
            The ledger is of another model's job, or the input has changed.
        ModelFileError
            The disk is full; the rows that are done are kept.
        """
        identity = identity_of_model(model)
        answer = partial(answers, model)
        return self.run_by(identity, answer, progress=progress, cancel=cancel)

    def run_by(
        self,
        identity: dict[str, Any],
        answer: Answer,
        *,
        progress: OnProgress | None = None,
        cancel: CancelToken | None = None,
    ) -> JobProgress:
        """Do the rows that are left as `run` does, wherever the models are.

        Parameters
        ----------
        identity : dict
            The identity of the model.
        answer : callable
            Answers rows as `answers` does.
        progress : callable, optional
            Called with a `JobProgress` now and then.
        cancel : CancelToken, optional
            Once it is set, the job ends, to be gone on with.

        Returns
        -------
        JobProgress
            Its `is_complete` is False if it was cancelled.
        """
        check_callback("progress", progress)
        check_cancel(cancel)
        self._ledger.begin(model=identity)
        meter = Meter(self._source.size, self._limit)
        self._answer(answer, meter, progress, cancel)
        if cancel is not None and cancel.is_set():
            return meter.progress()
        meter.n_failed = self._n_failed() if self._is_written else self._write()
        self._ledger.remove()
        done = meter.progress(is_complete=True)
        if progress is not None:
            progress(done)
        return done

    def _answer(
        self,
        answer: Answer,
        meter: Meter,
        progress: OnProgress | None,
        cancel: CancelToken | None,
    ) -> None:
        """Answer all rows that the ledger does not have."""
        told = monotonic()
        left = windows(self._left(meter))
        with closing(answer(self.task, left, cancel=cancel)) as each:
            for row, result in each:
                self._ledger.add(row.index, row.check, result)
                self._ledger.sync_soon()
                meter.add(row.n_bytes, self.task.tally(result))
                if progress is not None and monotonic() - told > _TOLD_SECONDS:
                    progress(meter.progress())
                    told = monotonic()
        self._ledger.sync()

    def _left(self, meter: Meter) -> Iterator[Row]:
        """Yield the rows that are not done; check that the others are the same."""
        entries = self._ledger.results()
        is_begun = False
        for row in islice(self._source.rows(self.task.fields), self._limit):
            if self._ledger.has(row.index):
                if not is_begun and (entry := next(entries, None)) is not None:
                    check_same(self._source, entry, row.check)
                meter.skip(row.n_bytes)
                continue
            if not is_begun:
                is_begun = True
                meter.start()
            yield row

    def _entries(self) -> Iterator[Entry]:
        return islice(self._ledger.results(), self._limit)

    def _n_failed(self) -> int:
        tallies = (self.task.tally(entry.result) for entry in self._entries())
        return sum(tally.has_failed for tally in tallies)

    def _write(self) -> int:
        """Write the output; return the number of rows that have failed."""
        n_failed = 0

        def entries() -> Iterator[Entry]:
            nonlocal n_failed
            for entry in self._entries():
                n_failed += self.task.tally(entry.result).has_failed
                yield entry

        def write(draft: str) -> None:
            answered = Answered(self._source, self.task, entries())
            writer_of(self._target)(draft, answered)
            with open(draft, "rb") as file:
                self._ledger.note_output(self._output(file))

        self._target.replace(write, self._ledger.path)
        return n_failed

    def _has_output(self) -> bool:
        """Whether a job that ended before it removed the ledger has its output."""
        noted = self._ledger.output()
        if noted is None:
            return False
        try:
            if not self._target.exists():
                return False
            with file_errors(self.target), self._target.open() as file:
                return self._output(file) == noted
        except ModelFileError as error:
            if error.errno != errno.EACCES:
                raise
            return False  # what this user may not read is written again

    def _output(self, file: BufferedReader) -> dict[str, Any]:
        """Return what tells an output from others."""
        digest = hashlib.file_digest(file, "blake2b").hexdigest()
        return {"limit": self._limit, "digest": digest}

    def _ledger_path(self, ledger: str | os.PathLike[str] | None) -> str:
        """Return the path of the ledger.

        Raises
        ------
        ArgumentError
            It is that of another file, or an address.
        """
        if ledger is None:
            return self._target.ledger_path()
        path = os.path.expanduser(checked_path("ledger", ledger))
        if is_address(path):
            wanted = (
                "a path, because a ledger is appended to"  # addresses may have keys
            )
            raise ArgumentError(f"ledger: wanted {wanted}, found an address")
        for other in (self._source.file, self._target):
            if StoredFile(path).is_same(other):
                wanted = "another file than the input and the output"
                raise ArgumentError(f"ledger: wanted {wanted}, found {short(path)}")
        return path


def check_columns(task: Task, source: Input) -> None:
    """Check that an input has what a task reads, and not what it writes.

    Raises
    ------
    ArgumentError
        The message names the column; or the input is not one of requests.
    """
    if isinstance(task, ColumnTask):
        task.check_columns(source.columns())
    elif source.file.suffix not in LINES:
        raise ArgumentError(
            "prompt: wanted a template, such as 'Summarise: {text}', for the columns "
            f"of {printable(source.file.path)}; only JSON lines may be requests"
        )
