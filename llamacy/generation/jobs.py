"""The prompts of one call on their way to results, or to errors in their places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from llamacy.arguments import checked_choice
from llamacy.errors import BusyError, ClosedError, ForkedError, LlamacyError, placed
from llamacy.generation.prompts import Given
from llamacy.generation.request import AnyRequest

ResultT = TypeVar("ResultT")

OnError: TypeAlias = Literal["raise", "return"]
"""The fate of one prompt's error.

`"raise"`: it ends the call. `"return"`: it takes the place of the prompt's result, and
the others go on.
"""

_OF_THE_MODEL = (BusyError, ClosedError, ForkedError)
"""Errors that are not one prompt's, and end the call in any case."""


class Job(Generic[ResultT]):
    """One prompt's requests, and the result that they lead to.

    Parameters
    ----------
    requests : sequence of Request
        They run together.
    finish : callable
        Makes the result once they have ended.

    Attributes
    ----------
    requests : sequence of Request
        Empty if the prompt was refused.
    n_running : int
        Requests that have not ended, once the job has begun.
    index : int
        Index of the prompt among those of the call.
    error : LlamacyError or None
        The error that stands in the place of the result.
    """

    def __init__(
        self,
        requests: Sequence[AnyRequest],
        finish: Callable[[], ResultT | LlamacyError],
    ) -> None:
        self.requests = requests
        self.n_running = len(requests)
        self.index = 0
        self.error: LlamacyError | None = None
        self._finish = finish

    @classmethod
    def refused(cls, error: LlamacyError) -> Job[ResultT]:
        """Return the job of a prompt that no request could be made of."""
        job = cls((), lambda: error)
        job.error = error
        return job

    @property
    def result(self) -> ResultT | LlamacyError:
        """The result as far as it has come, or the error in its place."""
        return self._finish() if self.error is None else self.error

    def withdraw(self) -> None:
        """Note that nobody wants the result any more."""
        for request in self.requests:
            request.withdraw()


Make: TypeAlias = "Callable[[Any, str], Job[ResultT]]"
"""Makes the job of a prompt, which errors call by the name in the second argument."""


class Jobs(Generic[ResultT]):
    """Makes a job of each prompt of one call, and decides about their errors.

    Parameters
    ----------
    given : Given
        The prompts.
    prepare : callable
        Checks everything but the prompts, and returns a `Make`. It may take long, and
        is called when the first job is to be made.
    on_error : {"raise", "return"}
        Whether the error of one prompt ends the call.

    Raises
    ------
    ArgumentError
        `on_error` is something else.
    """

    def __init__(
        self,
        given: Given,
        prepare: Callable[[], Make[ResultT]],
        on_error: str = "raise",
    ) -> None:
        self.given = given
        choice = checked_choice("on_error", on_error, ("raise", "return"))
        self._returns_errors = choice == "return"
        self._prepare = prepare
        self._make: Make[ResultT] | None = None
        self._running: dict[AnyRequest, Job[ResultT]] = {}

    def prepare(self) -> None:
        """Check everything but the prompts; an error of that is of no prompt."""
        self._make = self._prepare()

    def begin_all(self) -> list[Job[ResultT]]:
        """Make all jobs; raise the first error that is to be raised."""
        self.prepare()
        return [self.begin(index, item) for index, item in enumerate(self.given.items)]

    def begin(self, index: int, prompt: object) -> Job[ResultT]:
        """Make the job of a prompt, or one that has failed."""
        assert self._make is not None
        try:
            job = self._make(prompt, self.given.place(index))
        except LlamacyError as error:
            job = Job.refused(self._returned(error, index))
        job.index = index
        self._running.update(dict.fromkeys(job.requests, job))
        return job

    def end(self, request: AnyRequest) -> Job[ResultT]:
        """Note that a request has ended; raise its error if it is to be raised."""
        job = self._running.pop(request)
        job.n_running -= 1
        try:
            request.raise_error()
        except LlamacyError as error:
            job.error = self._returned(error, job.index)
        return job

    def arranged(self, jobs: Sequence[Job[ResultT]]) -> Any:
        """Return the results of all jobs: one, or a list, as the prompts were given."""
        results = [self.result(job) for job in jobs]
        return results[0] if self.given.is_one else results

    def result(self, job: Job[ResultT]) -> ResultT | LlamacyError:
        """Return a job's result, or the error in its place; raise one to be raised."""
        try:
            return job.result
        except LlamacyError as error:  # of a class that refuses the text
            return self._returned(error, job.index)

    def _returned(self, error: LlamacyError, index: int) -> LlamacyError:
        """Return an error for the place of a result, or raise it.

        It keeps no traceback: that would keep the call's frames, and the model.
        """
        if isinstance(error, _OF_THE_MODEL):
            raise error
        if self.given.is_one:
            located = placed(error, "", None)
        else:
            located = placed(error, self.given.place(index), index)
        if self._returns_errors:
            return located
        try:
            raise located.with_traceback(error.__traceback__) from error.__cause__
        finally:
            del located, error
