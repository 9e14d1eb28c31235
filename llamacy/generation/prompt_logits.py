"""A request for the logits themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.request import Request
from llamacy.sampling import SamplingParams


class LogitsRequest(Request):
    """Reads tokens and keeps the logits of every one.

    Attributes
    ----------
    logits : float32, (n_tokens, n_vocab).
    """

    def __init__(self, ids: list[int], n_ctx: int, n_vocab: int) -> None:
        # to the scheduler it is a prompt to be scored
        params = SamplingParams(max_tokens=0, prompt_logprobs=0)
        super().__init__(ids, params, n_ctx, None)
        self.n_to_read = len(ids)
        self.finish_reason = None
        self.logits = np.empty((len(ids), n_vocab), np.float32)

    def take(self, logits: NDArray[np.float32]) -> None:
        """Keep the logits of a pass."""
        assert self.sequence is not None
        self.n_read = end = self.sequence.n_past
        self.logits[end - len(logits) : end] = logits
        if end == self.n_to_read:
            self.finish_reason = "length"
