"""The task of a job: rows to calls of a model, and outcomes to results."""

from __future__ import annotations

import hashlib
import os
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from llamacy.errors import LlamacyError
from llamacy.jobs.rows import Row
from llamacy.model.mixed_calls import Call, Outcome
from llamacy.model.model import Model

Result: TypeAlias = "dict[str, Any]"
"""A row's result: values of JSON, the same in every run of the job."""

MAX_SEED: Final = 2**64 - 1
"""The largest seed of a job."""

_N_SEED: Final = 8  # bytes


class Tally(NamedTuple):
    """The tokens of a result, and whether it is an error.

    Attributes
    ----------
    prompt_tokens : int
        Tokens read.
    completion_tokens : int
        Tokens written.
    has_failed : bool
        Whether the row has an error.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    has_failed: bool = False


class Task(Protocol):
    """Makes a call of a row, and a result of the call's outcome.

    It is checked when it is made, and can be pickled. A row's result depends on the
    task, the model and the row alone: not on other rows, the process or the time.
    """

    @property
    def fields(self) -> tuple[str, ...] | None:
        """Columns that it reads; None if it reads whole lines."""

    @property
    def identity(self) -> dict[str, Any]:
        """All that results depend on but the model and the rows, as values of JSON."""

    def fitted(self, model: Model) -> Task:
        """Return the task for a model, with what only the model knows.

        Raises
        ------
        LlamacyError
            The model cannot do it for any row.
        """

    def call(self, row: Row) -> Call:
        """Return what a row asks of the model.

        Raises
        ------
        LlamacyError
            The row's own error.
        """

    def result(self, row: Row, outcome: Outcome, model: Model) -> Result:
        """Return a row's result of the outcome of its call."""

    def failure(self, row: Row, error: LlamacyError) -> Result:
        """Return the result of a row that has failed."""

    def tally(self, result: Result) -> Tally:
        """Return the tokens of a result, and whether it is an error."""


def seed_of(job_seed: int, index: int) -> int:
    """Return the seed of a row: the job's and the position decide it.

    >>> seed_of(0, 1) == seed_of(0, 1), seed_of(0, 1) == seed_of(0, 2)
    (True, False)
    """
    return int.from_bytes(_digest(job_seed, index, _N_SEED), "little")


def name_of(job_seed: int, index: int) -> str:
    """Return letters and digits that tell a row from others, as random ids would."""
    return _digest(job_seed, index, 12).hex()


def file_name(model: Model) -> str:
    """Return the name of a model's file or folder."""
    return os.path.basename(model.path.rstrip(os.sep))


def _digest(job_seed: int, index: int, size: int) -> bytes:
    text = f"{job_seed}:{index}".encode()
    return hashlib.blake2b(text, digest_size=size, person=b"llamacy row").digest()
