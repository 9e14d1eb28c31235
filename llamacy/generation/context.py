"""The tokens of one request, and the sequence that holds the first of them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable

from llamacy.errors import ContextLengthError
from llamacy.generation.prefix_cache import common_prefix
from llamacy.generation.reading import NO_ADAPTERS, Reading, n_alike
from llamacy.generation.rows import Rows
from llamacy.ops.batch import Wanted
from llamacy.ops.rope import LongTexts
from llamacy.ops.state.sequence import NEVER, SequenceState

_logger = logging.getLogger("llamacy")


class Context:
    """The tokens of one request, and the sequence that holds the first of them.

    Parameters
    ----------
    ids : iterable of int
        The prompt's token ids, at least one.
    n_ctx : int
        Most tokens of prompt and text together.
    sequence : SequenceState, optional
        Holds the first of `ids` already; None lets the scheduler find or create one.
    reading : Reading, optional
        The adapters that `sequence` was read with.
    long_texts : LongTexts, optional
        How long texts are rotated; None for a model that rotates all texts alike.
    end_ids : collection of int, default ()
        Tokens at the end of messages.

    Attributes
    ----------
    ids : list of int
        Tokens of prompt and text, or those that room was made with.
    n_prompt : int
        Tokens of the prompt.
    n_cached : int
        Tokens of the prompt that the sequence held before the first pass.
    n_reread : int
        Tokens to be read again because room was made, or the text became long.
    n_long : int
        The length that its tokens are rotated for: see `SequenceState`.
    adapted_from : int
        The position from which on an activated adapter acts: see `SequenceState`.

    Raises
    ------
    ContextLengthError
        The prompt has more than `n_ctx` tokens.
    """

    def __init__(
        self,
        ids: Iterable[int],
        n_ctx: int,
        sequence: SequenceState | None = None,
        reading: Reading = NO_ADAPTERS,
        long_texts: LongTexts | None = None,
        end_ids: Collection[int] = (),
    ) -> None:
        self.ids = list(ids)
        self._end_ids = end_ids
        self.n_prompt = len(self.ids)
        if self.n_prompt > n_ctx:
            raise ContextLengthError(self.n_prompt, n_ctx)
        self.n_ctx = n_ctx
        self.reading = reading
        self.adapted_from = NEVER if sequence is None else sequence.adapted_from
        self._long_texts = long_texts
        self.n_long = self._n_long(self.n_prompt)
        self.sequence: SequenceState | None = None
        self.n_cached = self.n_reread = 0
        if sequence is not None:
            self.start(sequence)

    def start(self, sequence: SequenceState) -> None:
        """Go on after the tokens that `sequence` holds: the first of the prompt."""
        if sequence.n_past == 0:
            sequence.n_long = self.n_long
        sequence.adapted_from = self.adapted_from
        self.sequence = sequence
        self.n_cached = sequence.n_past
        self._mark()

    def expect(self, n_tokens: int) -> None:
        """Be a long text from the beginning if one of `n_tokens` is.

        Where rotations depend on the length, each token to come has its own.
        """
        if self._long_texts is not None and not self._long_texts.is_dynamic:
            self.be_as_long_as(n_tokens)

    def be_as_long_as(self, n_tokens: int) -> None:
        """Rotate all tokens as those of a text of at least `n_tokens`."""
        self.n_long = max(self.n_long, self._n_long(min(n_tokens, self.n_ctx)))

    def read_with(self, reading: Reading) -> None:
        """Be read with these adapters; the sequence keeps the rows that stay the same.

        It is to be started again if it holds fewer tokens then.
        """
        before, self.reading = self.reading, reading
        old = self.adapted_from
        self.adapted_from = reading.adapted_from(self.ids[: self.n_prompt])
        if self.sequence is None:
            return
        if before.adapters != reading.adapters:
            n_kept = 0
        elif before.activated != reading.activated:
            n_kept = min(old, self.adapted_from)
        else:
            n_kept = n_alike(old, self.adapted_from)
        self.truncate(n_kept)
        self.sequence.adapted_from = self.adapted_from

    def can_go_on(self) -> bool:
        """Whether the tokens that `sequence` holds are rotated as this text's are."""
        sequence = self.sequence
        if sequence is None or not sequence.n_past or sequence.n_long == self.n_long:
            return True
        self._log_rereading(sequence.n_past)
        return False

    def lengthen(self) -> None:
        """Read all tokens again if the last one has made the text long."""
        if self.n_long or self._long_texts is None or self._long_texts.is_dynamic:
            return
        self.n_long = self._n_long(len(self.ids))
        if not self.n_long:
            return
        n_read = min(self.n_past, len(self.ids) - 1)  # without the rows of a draft
        self._log_rereading(n_read)
        self.n_reread += n_read
        assert self.sequence is not None
        self.sequence.truncate(0)
        self.sequence.n_long = self.n_long

    @property
    def n_past(self) -> int:
        """Tokens that were read."""
        return 0 if self.sequence is None else self.sequence.n_past

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another token."""
        return len(self.ids) >= self.n_ctx

    def rows(self, n_rows: int, end: int, wanted: Wanted) -> Rows:
        """Return the next rows, at most `n_rows`, of the first `end` tokens."""
        assert self.sequence is not None
        n_past = self.sequence.n_past
        return Rows(self.ids[n_past : min(n_past + n_rows, end)], self.sequence, wanted)

    def following(self, n_rows: int) -> list[int]:
        """Return the prompt's tokens that follow each of the last `n_rows` read.

        One token fewer where the prompt ends with the last of them.
        """
        end = self.n_past + 1
        return self.ids[end - n_rows : min(end, self.n_prompt)]

    def truncate(self, n: int) -> None:
        """Give back the rows of the pass after the first `n` tokens, if there are any.

        The sequence holds nothing then if it cannot go back so far.
        """
        assert self.sequence is not None
        if n < self.sequence.n_past:
            self.sequence.truncate(n)

    def replace(self, ids: list[int]) -> None:
        """Go on after `ids`; what begins like the tokens of before is not read again.

        The last token is read in any case, for the logits of the one after it.
        """
        self.truncate(min(common_prefix(self.ids, ids), self._adapt(ids), len(ids) - 1))
        self.n_reread += len(ids) - 1 - self.n_past
        self.ids = ids
        self._mark()

    def _mark(self) -> None:
        """Let the sequence be able to go back to where another text may leave this one.

        That is where it is now, at the end of each message, where it is adapted from,
        and before the last token, which a text that begins alike reads again.
        """
        assert self.sequence is not None
        ends = [n for n, token in enumerate(self.ids, 1) if token in self._end_ids]
        last = len(self.ids) - 1
        marks = [self.sequence.n_past, *ends, min(self.adapted_from, last), last]
        self.sequence.mark(marks)

    def _adapt(self, ids: list[int]) -> int:
        """Find where `ids` are adapted from; return how many rows that leaves alike.

        If the invocation is not among them any more, it is where they begin.
        """
        old = self.adapted_from
        if old == NEVER:
            return NEVER
        self.adapted_from = self.reading.adapted_from(ids)
        if self.adapted_from == NEVER:
            self.adapted_from = 0
        assert self.sequence is not None
        self.sequence.adapted_from = self.adapted_from
        return n_alike(old, self.adapted_from)

    def _n_long(self, n_tokens: int) -> int:
        return 0 if self._long_texts is None else self._long_texts.n_long(n_tokens)

    def _log_rereading(self, n_tokens: int) -> None:
        assert self._long_texts is not None
        _logger.info(
            "a text is read again, %d tokens: the model rotates texts of more than %s "
            "tokens by other factors%s, and it is %s than that now",
            n_tokens,
            self._long_texts.n_short,
            " for each length" if self._long_texts.is_dynamic else "",
            "longer" if self.n_long else "not longer",
        )
