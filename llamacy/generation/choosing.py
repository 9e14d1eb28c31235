"""From logits to the next token of one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llamacy.results import TokenLogprob
from llamacy.sampling import Sampler, SamplingParams, token_logprob

if TYPE_CHECKING:
    from llamacy.sampling.constraint import Constraint
    from llamacy.tokenizers.base import Tokenizer


class Chooser:
    """Chooses the tokens of one text.

    Parameters
    ----------
    ids : sequence of int
        Tokens of the prompt.
    params : SamplingParams
        How to choose.
    tokenizer : Tokenizer, optional
        Knows the tokens that end a text; without one no token does.
    seed_offset : int
        Tells the samples of one prompt apart.
    constraint : Constraint, optional
        Says which tokens may follow, and is this text's alone.
    """

    def __init__(
        self,
        ids: Sequence[int],
        params: SamplingParams,
        tokenizer: Tokenizer | None,
        seed_offset: int,
        constraint: Constraint | None = None,
    ) -> None:
        self._sampler = Sampler(
            params,
            tokenizer,
            seed_offset=seed_offset,
            suppressed=tokenizer.suppressed if tokenizer else (),
            suppressed_first=tokenizer.suppressed_first if tokenizer else (),
        )
        self._sampler.accept(ids)
        self._eog_ids = tokenizer.eog_ids if tokenizer else frozenset[int]()
        self._tokenizer = tokenizer
        self._n_likeliest = params.logprobs
        self._raw_logits: NDArray[np.float32] | None = None
        self._constraint = constraint
        self._is_free = False  # whether it is certain that no token must follow

    def choose(self, logits: NDArray[np.float32]) -> int:
        """Choose a token by `logits`, float32 (n_vocab,), which are changed."""
        if self._n_likeliest is not None:
            if self._raw_logits is None:
                self._raw_logits = np.empty_like(logits)
            np.copyto(self._raw_logits, logits)
        constraint = self._constraint
        if constraint is None:
            return self._sampler.sample(logits)
        is_free, self._is_free = self._is_free, False
        token, is_taken = self._sampler.sample_allowed(
            logits, constraint, is_free=is_free
        )
        if not is_taken and not self.ends_text(token):
            constraint.accept(token)
        return token

    def forced(self) -> list[int]:
        """Return the tokens that must follow, which count as chosen then.

        Empty where the likelihoods of all tokens are asked for.
        """
        if self._constraint is None or self._n_likeliest is not None:
            return []
        tokens = self._constraint.forced()
        self._is_free = True  # once these have been accepted
        for token in tokens:
            self._constraint.accept(token)
        self._sampler.accept(tokens)
        return tokens

    @property
    def is_constrained(self) -> bool:
        """Whether not every token may follow."""
        return self._constraint is not None

    def foresee(self, draft: list[int]) -> tuple[int, list[int]]:
        """Count the first tokens of a draft that may follow; return those that must.

        None must where the likelihoods of all tokens are asked for.
        """
        if self._constraint is None:
            return len(draft), []
        if self._n_likeliest is not None:
            return self._constraint.n_allowed(draft), []
        return self._constraint.foresee(draft)

    def prepare(self) -> None:
        """Begin to compute which tokens may follow, while the pass runs."""
        needs_mask = not (self._is_free and self._sampler.takes_first)
        if self._constraint is not None and needs_mask:
            self._constraint.prepare()

    @property
    def is_over(self) -> bool:
        """Whether nothing may follow, so that the text ends without a token for it."""
        return self._constraint is not None and self._constraint.is_over

    def ends_text(self, token: int) -> bool:
        """Whether a token ends a text, and is no part of it."""
        return token in self._eog_ids

    def logprob(self, token: int) -> TokenLogprob | None:
        """Return how likely `token` was at the last choice, if that is asked for."""
        if self._raw_logits is None or self._n_likeliest is None:
            return None
        return token_logprob(
            self._raw_logits, token, self._n_likeliest, self._tokenizer
        )
