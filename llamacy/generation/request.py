"""One prompt on its way to a completion."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ContextLengthError
from llamacy.generation.cancelling import CancelToken, Interest
from llamacy.generation.choosing import Chooser
from llamacy.generation.mailbox import Done, Event, Mailbox, Progress
from llamacy.generation.output import Output
from llamacy.generation.prefix_cache import common_prefix
from llamacy.generation.prompt_scores import PromptScores
from llamacy.generation.stopwatch import Stopwatch
from llamacy.ops.batch import Wanted
from llamacy.ops.state.sequence import SequenceState
from llamacy.results import Completion, FinishReason, Timings, TokenLogprob, Usage
from llamacy.sampling import SamplingParams

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer


MakeRoom = Callable[[list[int]], list[int] | None]
"""Called with the tokens generated so far when they fill the context.

Returns fewer tokens than the context holds, to go on after; None ends the text.
"""


class Request:
    """One prompt on its way to a completion.

    Once submitted it is the worker's, whose thread alone changes it. Other threads
    may call `withdraw`, and read the results once it is done.

    Parameters
    ----------
    ids : the prompt's tokens, at least one.
    params : how to go on.
    n_ctx : most tokens of prompt and text together.
    tokenizer : turns tokens into bytes and knows the end of a text; without one
        the text stays empty.
    sequence : what holds the first of `ids` already, but not all; None leaves it to
        the scheduler to find or make one.
    adapters : with which the tokens that `sequence` holds were read.
    keeps_sequence : leave the sequence open at the end, for who asked.
    reads_only : end when the prompt has been read.
    seed_offset : tells the samples of one prompt apart.
    cancel : ends the request once it is set.
    written : bytes of tokens that stand for others than the tokenizer says.
    make_room : asked for room in a full context; None: the text ends there.

    Attributes
    ----------
    ids : tokens of prompt and text, or what room was made with of them; the sequence
        holds the first of them.
    n_prompt, n_read : tokens of the prompt, and how many of them were read.
    n_to_read : how many of them the sequence is to hold next.
    finish_reason, error : why it ended, well or not; None until then. An error
        that was raised is None again.
    has_failed : whether it ended with an error.
    is_done : whether it has ended and given its memory back.
    adapters : with which the tokens that the sequence holds were read.

    Raises
    ------
    ContextLengthError : the prompt has more than `n_ctx` tokens.
    """

    def __init__(
        self,
        ids: list[int],
        params: SamplingParams,
        n_ctx: int,
        tokenizer: Tokenizer | None,
        *,
        sequence: SequenceState | None = None,
        adapters: str = "",
        keeps_sequence: bool = False,
        reads_only: bool = False,
        seed_offset: int = 0,
        cancel: CancelToken | None = None,
        written: Mapping[int, bytes] | None = None,
        make_room: MakeRoom | None = None,
    ) -> None:
        if len(ids) > n_ctx:
            raise ContextLengthError(len(ids), n_ctx)
        self._watch = Stopwatch()
        self.ids = list(ids)
        self.n_to_read = self.n_prompt = len(ids)
        self.adapters = adapters
        self.keeps_sequence = keeps_sequence
        self.finish_reason: FinishReason | None = None
        self.error: BaseException | None = None
        self.has_failed = False
        self.is_done = False
        self.output = Output(params, tokenizer, written)
        self._n_ctx = n_ctx
        self._make_room = make_room
        self._n_read_again = 0
        self._limit = sys.maxsize if make_room else n_ctx - len(ids)
        if params.max_tokens is not None:
            self._limit = min(self._limit, params.max_tokens)
        self._reads_only = reads_only
        self._chooser = Chooser(ids, params, tokenizer, seed_offset)
        self._scores: PromptScores | None = None
        if params.prompt_logprobs is not None:
            self._scores = PromptScores(params.prompt_logprobs)
        self._interest = Interest(cancel)
        self._mailbox: Mailbox | None = None
        self.sequence: SequenceState | None = None
        self.n_read = self._n_cached = 0
        if sequence is not None:
            self.start(sequence)
        if self._limit == 0 and not reads_only:
            self._read_at_most_for_logprobs()

    def _read_at_most_for_logprobs(self) -> None:
        """Prepare to generate nothing."""
        self._reads_only = True
        # What follows the last token is not asked.
        self.n_to_read = self.n_prompt - 1 if self.scores_prompt else 0
        if self.n_to_read <= self.n_read:
            self.finish_reason = "length"

    @property
    def has_ended(self) -> bool:
        """Whether it is over, well or not."""
        return self.finish_reason is not None or self.has_failed

    @property
    def is_reading(self) -> bool:
        """Whether the prompt has not led to a token yet."""
        return not self._watch.has_token

    @property
    def is_growing(self) -> bool:
        """Whether its next pass is for the token after the last one, and no more."""
        if self.is_reading or self.sequence is None:
            return False
        return self.sequence.n_past == self.n_to_read - 1

    @property
    def is_running(self) -> bool:
        """Whether it was submitted and is not done."""
        return self._mailbox is not None and not self.is_done

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was withdrawn."""
        return self._interest.is_withdrawn

    @property
    def is_parked(self) -> bool:
        """Whether it waits for somebody to take what it has posted."""
        full = self._mailbox is not None and self._mailbox.is_full
        return full and not self.is_withdrawn

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants its result any more."""
        return self._interest.is_lost

    @property
    def scores_prompt(self) -> bool:
        """Whether the likelihoods of the prompt's tokens are wanted."""
        return self._scores is not None

    @property
    def scores_next(self) -> bool:
        """Whether that is so of the tokens to be read next."""
        return self.scores_prompt

    def submit(self, mailbox: Mailbox) -> None:
        """Post events to `mailbox` from now on."""
        self._mailbox = mailbox

    def withdraw(self, n_taken: int | None = None) -> None:
        """Note that nobody wants the result any more; any thread may say so.

        n_taken : tokens of the text that were seen; None is nothing at all.
        """
        self._interest.withdraw(n_taken)

    @property
    def is_void(self) -> bool:
        """Whether it leaves nothing: it failed, or its result was not waited for."""
        return self.has_failed or self._interest.left_nothing

    def start(self, sequence: SequenceState) -> None:
        """Go on after the tokens that `sequence` holds: the first of the prompt."""
        self.sequence = sequence
        self.n_read = self._n_cached = sequence.n_past
        if self._scores is not None:
            self._scores.begin_after(sequence.n_past)

    def next_rows(self, n_rows: int) -> tuple[list[int], SequenceState, Wanted]:
        """At most `n_rows` rows of the next pass."""
        assert self.sequence is not None
        n_past = self.sequence.n_past
        tokens = self.ids[n_past : min(n_past + n_rows, self.n_to_read)]
        wanted: Wanted = "none"
        if self.is_reading and self.scores_prompt:
            wanted = "all"
        elif not self._reads_only and n_past + len(tokens) == self.n_to_read:
            wanted = "last"
        return tokens, self.sequence, wanted

    def take(self, logits: NDArray[np.float32]) -> None:
        """Go on with the logits wanted of a pass, (n_wanted, n_vocab).

        The rows are the request's to change.
        """
        assert self.sequence is not None
        if self.is_reading:
            self.n_read = self.sequence.n_past
            if self.scores_prompt:
                self._score_prompt(logits)
            self._post(Progress())
        if self.sequence.n_past == self.n_to_read:
            if self._reads_only:
                self.finish_reason = "length"
            else:
                self._choose(logits[-1])

    def spend(self, reading: bool, seconds: float) -> None:
        """Note the time of a pass this request had rows in."""
        self._watch.spend(reading, seconds)

    def cancel(self) -> None:
        """End as cancelled."""
        self.finish_reason = "cancelled"
        self._post_piece(self.output.flush())

    def fail(self, error: BaseException) -> None:
        """End with an error."""
        self.error = error
        self.has_failed = True

    def raise_error(self) -> None:
        """Raise what ended it, if that was an error, and forget it.

        Its traceback leads to whoever holds the request: the two would keep each
        other, and the model, until the garbage is collected.
        """
        error, self.error = self.error, None
        try:
            if error is not None:
                raise error
        finally:
            del error

    def settle(self) -> None:
        """Post that all is done: its memory is given back."""
        self.is_done = True
        self._post(Done())

    def completion(self) -> Completion:
        """Return the result."""
        output = self.output
        return Completion(
            text=output.text,
            tokens=list(output.tokens),
            finish_reason=self.finish_reason or "cancelled",
            usage=self.usage(len(output.tokens)),
            timings=self.timings(),
            logprobs=output.logprobs,
            prompt_logprobs=self.prompt_logprobs,
        )

    @property
    def prompt_logprobs(self) -> list[TokenLogprob | None] | None:
        """Likelihoods of the prompt's tokens read so far, if wanted."""
        return self._scores.logprobs if self._scores is not None else None

    def usage(self, n_generated: int) -> Usage:
        """Count tokens, `n_generated` of them generated."""
        return Usage(self.n_prompt, n_generated, self._n_cached)

    def timings(self) -> Timings:
        """Where the time went so far."""
        n_read = self.n_read - self._n_cached + self._n_read_again
        return self._watch.timings(n_read)

    def ids_taken(self) -> list[int]:
        """Tokens of prompt and text, without those that were not seen."""
        n_taken = self._interest.n_taken
        return self.ids if n_taken is None else self.ids[: self.n_prompt + n_taken]

    def _score_prompt(self, logits: NDArray[np.float32]) -> None:
        """Note how likely the tokens after those just read were."""
        assert self.sequence is not None
        assert self._scores is not None
        following = self.ids[self.sequence.n_past - len(logits) + 1 : self.n_prompt]
        self._scores.add(logits, following)

    def _choose(self, logits: NDArray[np.float32]) -> None:
        """Choose the next token from `logits`, (n_vocab,)."""
        token = self._chooser.choose(logits)
        self._watch.token()
        text = ""
        if self._chooser.ends_text(token):
            self.finish_reason = "stop"
        else:
            text = self._append(token)
            if len(self.output.tokens) == self._limit:
                self.finish_reason = "length"
            elif len(self.ids) == self._n_ctx and not self.output.is_stopped:
                self._refill()
        if self.finish_reason is not None:
            text += self.output.flush()
        if self.output.is_stopped:
            self.finish_reason = "stop"
        self._post_piece(text)

    def _append(self, token: int) -> str:
        """Add a token to the text; return the text that has become sure."""
        self.ids.append(token)
        self.n_to_read = len(self.ids)
        return self.output.push(token, self._chooser.logprob(token))

    def _refill(self) -> None:
        """Go on with fewer tokens than fill the context, or end there."""
        assert self._make_room is not None
        assert self.sequence is not None
        ids = self._make_room(self.output.tokens)
        if ids is None:
            self.finish_reason = "length"
            return
        # The last token is read in any case, for the logits of what follows it.
        n_kept = min(common_prefix(self.ids, ids), self.sequence.n_past, len(ids) - 1)
        self.sequence.truncate(n_kept)
        self._n_read_again += len(ids) - 1 - self.sequence.n_past
        self.ids = ids
        self.n_to_read = len(ids)

    def _post_piece(self, text: str) -> None:
        if piece := self.output.piece(text):
            self._post(piece)

    def _post(self, event: Event) -> None:
        if self._mailbox is not None:
            self._mailbox.post(self, event)
