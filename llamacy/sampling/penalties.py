"""Penalties for tokens that were said before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.sampling.params import SamplingParams


def has_penalties(params: SamplingParams) -> bool:
    """Whether `penalise` would change anything."""
    return params.penalty_last_n != 0 and (
        params.repeat_penalty != 1
        or params.frequency_penalty != 0
        or params.presence_penalty != 0
    )


def last(tokens: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """Return the last `n` tokens; all for -1."""
    return tokens if n < 0 else tokens[max(len(tokens) - n, 0) :]


def penalise(
    logits: NDArray[np.float32], tokens: NDArray[np.int32], params: SamplingParams
) -> None:
    """Lower the logits of the last of `tokens`, in place."""
    said, counts = np.unique(last(tokens, params.penalty_last_n), return_counts=True)
    found = logits[said]
    repeat = np.float32(params.repeat_penalty)
    # a negative logit would rise if it were divided
    found = np.where(found <= 0, found * repeat, found / repeat)
    found -= counts.astype(np.float32) * np.float32(params.frequency_penalty)
    logits[said] = found - np.float32(params.presence_penalty)
