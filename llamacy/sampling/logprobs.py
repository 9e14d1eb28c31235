"""Log-probabilities of tokens, from the model's own logits."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ModelOutputError
from llamacy.results import TokenLogprob
from llamacy.sampling.largest import largest
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.token_text import token_text

_CHUNK = 8192  # logits whose exponentials stay in the CPU's cache


def token_logprob(
    logits: NDArray[np.float32],
    token: int,
    k: int,
    tokenizer: Tokenizer | None = None,
) -> TokenLogprob:
    """Return the log-probability of `token`, and the `k` likeliest tokens.

    Parameters
    ----------
    logits : float32, (n_vocab,)
        The model's logits, before the sampler changes them.
    token : int
        Id of the token.
    k : int
        Likeliest tokens to list.
    tokenizer : Tokenizer, optional
        Has their texts.
    """
    total = _log_sum_exp(logits)
    top = largest(logits, min(k, len(logits))) if k else ()
    return TokenLogprob(
        token,
        float(logits[token]) - total,
        tuple((int(other), float(logits[other]) - total) for other in top),
        token_text(tokenizer, token),
        tuple(token_text(tokenizer, int(other)) for other in top),
    )


def logprobs_of(logits: NDArray[np.float32], tokens: Iterable[int]) -> list[float]:
    """Return the log-probabilities of `tokens`.

    Raises
    ------
    ModelOutputError
        A logit is NaN or infinite.
    """
    total = _log_sum_exp(logits)
    if not math.isfinite(total):
        raise ModelOutputError("a logit is not finite: the weights are broken")
    return [float(logits[token]) - total for token in tokens]


def _log_sum_exp(logits: NDArray[np.float32]) -> float:
    peak = logits.max()
    total = 0.0
    for first in range(0, len(logits), _CHUNK):
        weights = np.exp(logits[first : first + _CHUNK] - peak)
        total += float(weights.sum(dtype=np.float64))
    return float(peak) + math.log(total)
