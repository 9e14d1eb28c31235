"""Functions of the caller that have a say in every token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Logits = NDArray[np.float32]
LogitsProcessor = Callable[[Ids, Logits], Logits | None]
StoppingCriteria = Callable[[Ids, Logits], bool]


class LogitsProcessorList(list[LogitsProcessor]):
    """Functions that change logits, each applied to the result of the one before."""

    def __call__(self, input_ids: Ids, scores: Logits) -> Logits:
        """Return `scores`, (n_vocab,), after all of them."""
        for processor in self:
            changed = processor(input_ids, scores)
            scores = scores if changed is None else changed
        return scores


class StoppingCriteriaList(list[StoppingCriteria]):
    """Functions of which any one may end a text."""

    def __call__(self, input_ids: Ids, logits: Logits) -> bool:
        """Whether any of them ends the text."""
        return any(criterion(input_ids, logits) for criterion in self)


@dataclass(frozen=True, slots=True)
class Ending:
    """Leaves only the end of the text to choose when a criterion holds."""

    criterion: StoppingCriteria
    end_token: int

    def __call__(self, ids: Ids, logits: Logits) -> None:
        """Change `logits` if the criterion holds after `ids`."""
        if self.criterion(ids, logits):
            logits[:] = -np.inf
            logits[self.end_token] = 0


class MinTokensLogitsProcessor:
    """Keeps a text from ending before it has some tokens.

    Parameters
    ----------
    min_tokens : int
        Fewest tokens of the text, without its prompt.
    token_eos : int
        The token that ends a text.
    """

    def __init__(self, min_tokens: int, token_eos: int) -> None:
        self.min_tokens = min_tokens
        self.token_eos = token_eos
        self._n_prompt: int | None = None

    def __call__(self, input_ids: Ids, scores: Logits) -> Logits:
        """Return `scores`, (n_vocab,), in which the text cannot end too early."""
        if self._n_prompt is None:
            self._n_prompt = len(input_ids)
        if len(input_ids) - self._n_prompt < self.min_tokens:
            scores[self.token_eos] = -np.inf
        return scores
