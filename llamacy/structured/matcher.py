"""Which tokens may follow in one text."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ConstraintLimitError
from llamacy.structured import spare
from llamacy.structured.masks import Mask, failed, mask_of
from llamacy.structured.vocabulary import Vocabulary

_MAX_SECONDS = 20.0  # for one mask: its limits are reached long before, if at all


class Matcher:
    """A constraint on one text, by an `LLMatcher`: see `sampling.constraint`.

    Parameters
    ----------
    matcher : llguidance.LLMatcher
        It is this one's alone.
    vocabulary : Vocabulary
        The model's tokens.
    argument : str
        The option that the constraint was given as, for errors.
    """

    def __init__(self, matcher: Any, vocabulary: Vocabulary, argument: str) -> None:
        self._matcher = matcher
        self._vocabulary = vocabulary
        self._argument = argument
        self._n_accepted = 0
        self._mask: Mask | None = None
        self._coming: Future[Mask] | None = None

    def keep(self, mask: Mask) -> None:
        """Take a mask that was computed of it already."""
        self._mask = mask

    def allow(self, logits: NDArray[np.float32]) -> int | None:
        """Set the logits of tokens that may not follow to `-inf`, in place.

        Returns the token that must follow, if there is only one.
        """
        mask = self._known_mask()
        mask.apply(logits)
        return mask.only

    def takes(self, token: int) -> bool:
        """Grow by a token if it may follow, or may end the text; whether it may."""
        self._settle()
        if token in self._vocabulary.ending:
            return bool(self._matcher.is_accepting())
        n_tokens = min(self._vocabulary.n_tokens, self._vocabulary.n_vocab)
        if token >= n_tokens or self._matcher.is_stopped():
            return False
        is_taken = bool(self._matcher.try_consume_tokens([token]))
        if self._matcher.is_error():
            raise failed(self._matcher, self._argument)
        if is_taken:
            self._mask = None
            self._n_accepted += 1
        return is_taken

    def accept(self, token: int) -> None:
        """Grow by a token that may follow."""
        self._settle()
        self._mask = None
        if not self._matcher.consume_token(token):
            raise failed(self._matcher, self._argument)
        self._n_accepted += 1

    def accept_text(self, text: str) -> str:
        """Grow by the beginning of a text; return the part that may not follow."""
        self._settle()
        self._mask = None
        ids = self._vocabulary.ids(text)
        n = self._matcher.validate_tokens(ids)
        if n and not self._matcher.consume_tokens(ids[:n]):
            raise failed(self._matcher, self._argument)
        self._n_accepted += n
        if n == len(ids):
            return ""
        written = self._vocabulary.trie.decode_bytes(ids[:n])
        return text.encode()[len(written) :].decode(errors="replace")

    def forced(self) -> list[int]:
        """Return the tokens that must follow, as the model's tokenizer writes them."""
        self._settle()
        if self._matcher.is_stopped():
            return []
        return list(self._matcher.compute_ff_tokens())

    def n_allowed(self, tokens: Sequence[int]) -> int:
        """Count how many of `tokens` may follow, one after the other."""
        self._settle()
        if self._matcher.is_stopped():
            return 0
        n_tokens = min(self._vocabulary.n_tokens, self._vocabulary.n_vocab)
        known = takewhile(lambda token: token < n_tokens, tokens)
        return int(self._matcher.validate_tokens([*known]))

    def foresee(self, tokens: Sequence[int]) -> tuple[int, list[int]]:
        """Count how many of `tokens` may follow; return those that then must."""
        n = self.n_allowed(tokens)
        if not n:
            return 0, []
        mask = self._mask
        for token in tokens[:n]:
            self.accept(token)
        forced = self.forced()
        self.truncate(self._n_accepted - n)
        self._mask = mask
        return n, forced

    def fork(self) -> Matcher:
        """Return another that has accepted the same tokens, and grows apart."""
        self._settle()
        copy = Matcher(self._matcher.deep_copy(), self._vocabulary, self._argument)
        copy._n_accepted, copy._mask = self._n_accepted, self._mask
        return copy

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens that were accepted."""
        self._settle()
        if n < self._n_accepted:
            self._mask = None
            self._matcher.rollback(self._n_accepted - n)
            self._n_accepted = n

    @property
    def is_complete(self) -> bool:
        """Whether the text may end here."""
        self._settle()
        if self._mask is not None:
            return self._mask.is_complete
        return bool(self._matcher.is_accepting())

    @property
    def is_over(self) -> bool:
        """Whether it must end here, for nothing may follow."""
        if not self.is_complete:
            return False
        if self._matcher.is_stopped():
            return True
        # Otherwise a token ends the text, if the vocabulary has one for that.
        return not len(self._vocabulary.eog_ids) and self._known_mask().is_empty

    def prepare(self) -> None:
        """Begin to compute which tokens may follow, on a spare thread."""
        if self._mask is None and self._coming is None:
            self._coming = spare.begin(self._compute)

    def _compute(self) -> Mask:
        return mask_of(self._matcher, self._vocabulary, self._argument)

    def _known_mask(self) -> Mask:
        self._settle()
        if self._mask is None:
            self._mask = self._compute()
        return self._mask

    def _settle(self) -> None:
        """Wait for the spare thread, which uses the same matcher."""
        if self._coming is None:
            return
        coming, self._coming = self._coming, None
        try:
            self._mask = coming.result(_MAX_SECONDS)
        except TimeoutError:
            raise ConstraintLimitError(
                f"{self._argument}: wanted a constraint whose tokens are found within "
                f"{_MAX_SECONDS:.0f} s, found one that takes longer"
            ) from None
