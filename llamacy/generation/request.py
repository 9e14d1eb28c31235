"""One prompt on its way to what its goal makes of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ClosedError
from llamacy.generation.cancelling import CancelToken, Interest
from llamacy.generation.events import Done, Event, Progress
from llamacy.generation.goals.goal import Goal
from llamacy.generation.mailbox import Mailbox
from llamacy.generation.reading import Reading
from llamacy.generation.rows import Rows
from llamacy.generation.stages import NEXT, Stage
from llamacy.generation.stopwatch import Stopwatch
from llamacy.ops.state.sequence import SequenceState
from llamacy.results import Timings, Usage
from llamacy.system.exits import hold_daemon

GoalT_co = TypeVar("GoalT_co", bound=Goal, covariant=True)


class Leftover(Enum):
    """The fate of a request's sequence when the request ends."""

    CACHED = "cached"
    """Cached, for prompts that begin alike; closed if the request failed."""

    KEPT = "kept"
    """Left open for the caller, whose sequence it is."""

    CLOSED = "closed"


_numbers = itertools.count()


class Request(Generic[GoalT_co]):
    """One prompt on its way to what its goal makes of it.

    Once submitted it is the worker's, whose thread alone changes it. Other threads may
    call `withdraw`, look at its stage, and read the results once it is settled.

    Parameters
    ----------
    goal : Goal
        The purpose for which its tokens are read; it has the request's `Context`.
    leftover : Leftover, default CACHED
        The fate of its sequence.
    cancel : CancelToken, optional
        Ends the request once it is set.

    Attributes
    ----------
    number : int
        Tells it from all others, past ones too.
    stage : Stage
        How far it has come.
    has_ended : bool
        Whether it is over, well or not: ended, or settled too.
    n_read : int
        Tokens of the prompt that were read.
    error : BaseException or None
        The error that ended it; None again after `raise_error`.
    has_failed : bool
        Whether an error ended it.
    """

    def __init__(
        self,
        goal: GoalT_co,
        *,
        leftover: Leftover = Leftover.CACHED,
        cancel: CancelToken | None = None,
    ) -> None:
        self.number = next(_numbers)
        self.goal = goal
        self.context = goal.context
        self.leftover = leftover
        self.stage = Stage.CREATED
        self.has_ended = False
        self.n_read = self.context.n_past
        self.error: BaseException | None = None
        self.has_failed = False
        self._interest = Interest(cancel)
        self._mailbox: Mailbox[AnyRequest] | None = None
        self._resumes_as = Stage.READING  # where it is parked
        self._watch = Stopwatch()

    @property
    def n_unread(self) -> int:
        """Tokens that are still to be read."""
        return self.goal.n_to_read - self.context.n_past

    @property
    def is_settled(self) -> bool:
        """Whether it is over and its memory was given back."""
        return self.stage is Stage.SETTLED

    @property
    def is_running(self) -> bool:
        """Whether it was submitted and is not settled."""
        return self.stage not in (Stage.CREATED, Stage.SETTLED)

    # The caller's side.

    def withdraw(self, n_delivered: int | None = None) -> None:
        """Note that nobody wants the result any more; any thread may do so.

        Parameters
        ----------
        n_delivered : int, optional
            Tokens of the text that the reader has seen, which a session keeps; None if
            not even the prompt is to stay.
        """
        self._interest.withdraw(n_delivered)

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was withdrawn."""
        return self._interest.is_withdrawn

    def raise_error(self) -> None:
        """Raise the error that ended the request, if there is one, and forget it.

        An error's traceback leads to the callers that hold the request: the two would
        keep each other, and the model, until the garbage is collected.
        """
        error, self.error = self.error, None
        if isinstance(error, ClosedError):
            hold_daemon()
        try:
            if error is not None:
                raise error
        finally:
            del error

    @property
    def left_nothing(self) -> bool:
        """Whether it failed, or was withdrawn with nothing of it to stay."""
        return self.has_failed or self._interest.left_nothing

    @property
    def ids_delivered(self) -> list[int]:
        """Tokens of prompt and text, without those that the reader has not seen."""
        ids, n_delivered = self.context.ids, self._interest.n_delivered
        if n_delivered is None:
            return ids
        return ids[: self.context.n_prompt + n_delivered]

    @property
    def share(self) -> float:
        """Tokens read and chosen so far, of the most that there may be: 0.0 to 1.0."""
        n_done = self.n_read + self.goal.n_chosen
        return min(1.0, n_done / (self.context.n_prompt + self.goal.n_to_choose))

    def usage(self, n_generated: int) -> Usage:
        """Count tokens, `n_generated` of them generated."""
        context, goal = self.context, self.goal
        return Usage(
            context.n_prompt,
            n_generated,
            context.n_cached,
            goal.n_drafted,
            goal.n_accepted,
        )

    @property
    def timings(self) -> Timings:
        """Where the time went so far."""
        context = self.context
        return self._watch.timings(self.n_read - context.n_cached + context.n_reread)

    # The worker's side.

    def submit(self, mailbox: Mailbox[AnyRequest], since: float | None = None) -> None:
        """Post events to `mailbox` from now on.

        Parameters
        ----------
        mailbox : Mailbox
            Where the caller waits.
        since : float, optional
            When the caller began to wait, in seconds of `perf_counter`; by default now.
        """
        self._mailbox = mailbox
        self._watch.submit(since)
        is_over = self.context.n_past >= self.goal.n_to_read
        self._move(Stage.ENDED if is_over else Stage.WAITING)

    def is_of_call(self, other: AnyRequest) -> bool:
        """Whether both were submitted by the same call, which waits for both."""
        return self._mailbox is other._mailbox

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants its result; asks the caller's token, which may raise."""
        return self._interest.is_lost

    @property
    def waited_seconds(self) -> float:
        """Seconds from its submission to its first pass."""
        return self._watch.waited_seconds

    @property
    def n_passes(self) -> int:
        """Passes it had rows in."""
        return self._watch.n_passes

    def admit(self, reading: Reading) -> None:
        """Give it a place; rows of its sequence that were read in another way go."""
        context, n_past = self.context, self.context.n_past
        context.read_with(reading)
        if context.sequence is not None:
            if not (self.has_ended or context.can_go_on()):
                context.sequence.truncate(0)
            if context.n_past < n_past or context.n_past == 0:
                self._begin_after(context.sequence)
            if not self.has_ended:
                self._move(Stage.READING)

    def start(self, sequence: SequenceState) -> None:
        """Begin to read, after the tokens that `sequence` holds."""
        self._begin_after(sequence)
        self._move(Stage.READING)

    def park_or_resume(self) -> None:
        """Stop where the reader is behind; go on where it has caught up."""
        is_full = self._mailbox is not None and self._mailbox.is_full
        if is_full and not self.is_withdrawn:
            if self.stage in (Stage.READING, Stage.GROWING):
                self._resumes_as = self.stage
                self._move(Stage.PARKED)
        elif self.stage is Stage.PARKED:
            self._move(self._resumes_as)

    @property
    def goes_on(self) -> bool:
        """Whether it grows, is still wanted, and its reader has not fallen behind."""
        if self.stage is not Stage.GROWING or (mailbox := self._mailbox) is None:
            return False
        try:
            return not (mailbox.is_full or self._interest.is_lost)
        except BaseException:  # of the caller's own token, which is asked again
            return False

    def begin_draft(self, most: int) -> None:
        """Draft tokens: see `Goal.begin_draft`; an error ends the request."""
        try:
            self.goal.begin_draft(most)
        except BaseException as error:  # of the caller's own drafter
            self.fail(error)

    def chances(self) -> Sequence[float]:
        """Return how likely drafted tokens are right: see `Goal.chances`.

        An error, of its constraint say, ends the request, which has no draft then.
        """
        try:
            return self.goal.chances()
        except BaseException as error:
            self.fail(error)
            return ()

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        """Return rows of the next pass: see `Goal.next_rows`.

        An error, of its constraint say, ends the request, which has no rows then.
        """
        try:
            return self.goal.next_rows(n_rows, n_scored)
        except BaseException as error:
            self.fail(error)
            assert self.context.sequence is not None
            return Rows([], self.context.sequence, "none")

    def take(self, logits: NDArray[np.float32]) -> None:
        """Go on with the logits of a pass: see `Goal.take`."""
        was_growing = self.stage is Stage.GROWING or self.goal.is_decoding
        n_read = min(self.context.n_past, self.context.n_prompt)
        if n_read > self.n_read:
            self.n_read = n_read
            self._post(Progress())
        stage = self.goal.take(logits)
        if stage is not self.stage:
            self._move(stage)
        self._watch.choose(self.goal.n_chosen, is_decode=was_growing)
        self._post_pieces()

    def spend(self, started: float, ended: float, *, is_decode: bool) -> None:
        """Note the time of a pass it had rows in, in seconds of `perf_counter`."""
        self._watch.spend(started, ended, is_decode=is_decode)

    def cancel(self) -> None:
        """End as cancelled."""
        self.goal.cancel()
        self._move(Stage.ENDED)
        self._post_pieces()

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        self.error = error
        self.has_failed = True
        if not self.has_ended:
            self._move(Stage.ENDED)

    def settle(self) -> None:
        """Note that its memory was given back, and tell the mailbox."""
        self.goal.release()
        self._move(Stage.SETTLED)
        self._post(Done())

    def _begin_after(self, sequence: SequenceState) -> None:
        self.context.start(sequence)
        self.n_read = sequence.n_past

    def _move(self, stage: Stage) -> None:
        assert stage in NEXT[self.stage], f"{self.stage} to {stage}"
        self.stage = stage
        self.has_ended = stage in (Stage.ENDED, Stage.SETTLED)

    def _post_pieces(self) -> None:
        while piece := self.goal.piece():
            self._post(piece)

    def _post(self, event: Event) -> None:
        if self._mailbox is not None:
            self._mailbox.post(self, event)


AnyRequest: TypeAlias = Request[Goal]
