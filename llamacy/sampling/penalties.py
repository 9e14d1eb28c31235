"""Penalties for tokens that already occurred."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.sampling.params import SamplingParams


def has_penalties(params: SamplingParams) -> bool:
    """Return whether `penalise` would change anything."""
    return params.penalty_last_n != 0 and (
        params.repeat_penalty != 1
        or params.frequency_penalty != 0
        or params.presence_penalty != 0
    )


def last(tokens: NDArray[np.int32], n: int) -> NDArray[np.int32]:
    """Return the last `n` tokens; all of them if `n` is -1."""
    return tokens if n < 0 else tokens[max(len(tokens) - n, 0) :]


def penalise(
    logits: NDArray[np.float32], tokens: NDArray[np.int32], params: SamplingParams
) -> None:
    """Lower the logits of the last `penalty_last_n` of `tokens`, in place."""
    recent = last(tokens, params.penalty_last_n)
    repeated, counts = np.unique(recent, return_counts=True)
    values = logits[repeated]
    repeat = np.float32(params.repeat_penalty)
    # dividing a negative logit would raise it
    values = np.where(values <= 0, values * repeat, values / repeat)
    values -= counts.astype(np.float32) * np.float32(params.frequency_penalty)
    logits[repeated] = values - np.float32(params.presence_penalty)
