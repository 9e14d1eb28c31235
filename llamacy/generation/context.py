"""The tokens of one request, and the sequence that holds the first of them."""

from __future__ import annotations

from collections.abc import Iterable

from llamacy.errors import ContextLengthError
from llamacy.generation.prefix_cache import common_prefix
from llamacy.generation.rows import Rows
from llamacy.ops.batch import Wanted
from llamacy.ops.state.sequence import SequenceState


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
    adapters : str, default ""
        Fingerprint of the adapters that `sequence` was read with.

    Attributes
    ----------
    ids : list of int
        Tokens of prompt and text, or those that room was made with.
    n_prompt : int
        Tokens of the prompt.
    n_cached : int
        Tokens of the prompt that the sequence held before the first pass.
    n_reread : int
        Tokens to be read again because room was made.

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
        adapters: str = "",
    ) -> None:
        self.ids = list(ids)
        self.n_prompt = len(self.ids)
        if self.n_prompt > n_ctx:
            raise ContextLengthError(self.n_prompt, n_ctx)
        self.n_ctx = n_ctx
        self.adapters = adapters
        self.sequence: SequenceState | None = None
        self.n_cached = self.n_reread = 0
        if sequence is not None:
            self.start(sequence)

    def start(self, sequence: SequenceState) -> None:
        """Go on after the tokens that `sequence` holds: the first of the prompt."""
        self.sequence = sequence
        self.n_cached = sequence.n_past

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
        self.truncate(min(common_prefix(self.ids, ids), len(ids) - 1))
        self.n_reread += len(ids) - 1 - self.n_past
        self.ids = ids
