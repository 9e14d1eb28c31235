"""From a row of logits to a token: the sampling options and the chain they drive.

The order is llama.cpp's: top-k, top-p, min-p, temperature. Knows nothing of
models, tokens' texts or sequences.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ModelOutputError

_MAX_SEED = 2**64 - 1
_GROUP = 128  # logits whose maximum is taken


class SamplingOptions(TypedDict, total=False):
    """The fields of :class:`SamplingParams`, as keyword arguments."""

    max_tokens: int | None
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    seed: int | None
    stop: str | Collection[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    r"""How tokens are chosen, and when to end; llama.cpp's meanings and defaults.

    Attributes
    ----------
    max_tokens : most tokens to generate; None goes on to the end of the text or
        of the context.
    temperature : divides the logits before drawing; 0 always takes the likeliest
        token (greedy), whatever the other options say.
    top_k : keep the `top_k` likeliest tokens; 0 keeps all.
    top_p : of those, keep the likeliest whose probabilities reach this sum; 1
        keeps all (nucleus sampling, Holtzman et al. 2019, arXiv:1904.09751).
    min_p : of those, keep tokens at least this share as likely as the likeliest; 0
        keeps all (Nguyen et al. 2024, arXiv:2407.01082).
    seed : the same seed gives the same tokens; None or -1 differs every time.
    stop : text, or texts, that end the generation; not part of its result.

    Raises
    ------
    ArgumentError : a value of the wrong type or out of its range.

    Examples
    --------
    >>> SamplingParams(temperature=0, stop="\n").stop
    ('\n',)
    """

    max_tokens: int | None = None
    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    seed: int | None = None
    stop: str | Collection[str] | None = ()

    def __post_init__(self) -> None:
        if self.max_tokens is not None:
            self._set("max_tokens", checked_integer("max_tokens", self.max_tokens, 0))
        self._set("temperature", _number("temperature", self.temperature))
        self._set("top_k", checked_integer("top_k", self.top_k, 0))
        self._set("top_p", _number("top_p", self.top_p, 1.0))
        self._set("min_p", _number("min_p", self.min_p, 1.0))
        if self.seed is not None:
            self._set("seed", checked_integer("seed", self.seed, -1, _MAX_SEED))
        self._set("stop", _stop_strings(self.stop))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


class Sampler:
    """Draws tokens from rows of logits, with a random generator of its own.

    Parameters
    ----------
    params : the options; `max_tokens` and `stop` are not the sampler's business.
    """

    def __init__(self, params: SamplingParams) -> None:
        self.params = params
        seed = None if params.seed == -1 else params.seed
        self._random = np.random.default_rng(seed)

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Choose a token.

        Parameters
        ----------
        logits : float32, (n_vocab,); a token with ``-inf`` is never chosen.

        Raises
        ------
        ModelOutputError : a logit is NaN or infinite, or all are ``-inf``.
        """
        # argmax takes a NaN for the largest value, so this one look finds every
        # logit that would spoil the probabilities.
        best = int(logits.argmax())
        if not math.isfinite(logits[best]):
            raise ModelOutputError(
                f"logits: wanted finite numbers, found {logits[best]} for token "
                f"{best}: the model's weights are broken"
            )
        if self.params.temperature == 0:
            return best
        # Logits far apart, or a temperature near 0, overflow to the right limits.
        with np.errstate(over="ignore", under="ignore"):
            ids, kept = self._candidates(logits, logits[best])
            cumulative = np.exp(kept / self.params.temperature).cumsum()
        drawn = self._random.random() * cumulative[-1]
        # A sum of many small numbers may round to just below `drawn`.
        index = min(int(cumulative.searchsorted(drawn, "right")), len(ids) - 1)
        return int(ids[index])

    def _candidates(
        self, logits: NDArray[np.float32], peak: np.float32
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Tokens that pass top-k, top-p and min-p, and their logits less `peak`."""
        params = self.params
        if 0 < params.top_k < len(logits):
            ids = largest(logits, params.top_k)
            if params.top_p < 1:
                ids = ids[: _reaching(np.exp(logits[ids] - peak), params.top_p)]
        elif params.top_p < 1:
            ids = _nucleus(logits, peak, params.top_p)
        else:
            ids = np.arange(len(logits))
        kept = (logits[ids] - peak).astype(np.float64)
        if params.min_p > 0:
            passing = kept >= math.log(params.min_p)
            ids, kept = ids[passing], kept[passing]
        return ids, kept


def largest(logits: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Find the `k` largest values, largest first; of equals the lowest index first.

    Parameters
    ----------
    logits : float32, (n,), without NaN.
    k : 1 to n.
    """
    width = min(_GROUP, len(logits) // (4 * k))
    ids = _promising(logits, k, width) if width >= 8 else np.arange(len(logits))
    values = logits[ids]
    if len(ids) > k:
        bound = np.partition(values, len(values) - k)[len(values) - k]
        above = np.flatnonzero(values > bound)
        equal = np.flatnonzero(values == bound)[: k - len(above)]
        ids = ids[np.sort(np.concatenate((above, equal)))]
        values = logits[ids]
    return ids[np.argsort(-values, kind="stable")]


def _promising(logits: NDArray[np.float32], k: int, width: int) -> NDArray[np.intp]:
    """Find `k` or a few more values, the `k` largest among them; indices, rising.

    Cut into groups of `width`, the k-th largest of the groups' maxima is a bound
    that at least `k` values reach. Looking for them in the groups that reach it is
    many times faster than partitioning a whole vocabulary. A group is a column of
    `rows`, because NumPy compares whole rows in vector instructions.
    """
    n_groups = len(logits) // width
    end = n_groups * width
    rows = logits[:end].reshape(width, n_groups)
    maxima = rows.max(axis=0)
    bound = np.partition(maxima, n_groups - k)[n_groups - k]
    reaching = np.flatnonzero(maxima >= bound)
    row, column = np.nonzero(rows[:, reaching] >= bound)
    rest = np.flatnonzero(logits[end:] >= bound)
    return np.concatenate((row * n_groups + reaching[column], end + rest))


def _nucleus(
    logits: NDArray[np.float32], peak: np.float32, top_p: float
) -> NDArray[np.intp]:
    """Leading tokens of the whole vocabulary whose probabilities reach `top_p`."""
    weights = np.exp(logits - peak)
    total = float(weights.sum(dtype=np.float64))
    # A nucleus is small as a rule: look for it among ever more of the likeliest
    # instead of sorting the vocabulary.
    k = min(64, len(logits))
    while True:
        ids = largest(logits, k)
        n_kept = _reaching(weights[ids], top_p, total)
        if n_kept < k or k == len(logits):
            return ids[:n_kept]
        k = min(8 * k, len(logits))


def _reaching(
    weights: NDArray[np.float32], share: float, total: float | None = None
) -> int:
    """How many leading weights sum to `share` of `total`; at least one."""
    sums = weights.cumsum(dtype=np.float64)
    wanted = share * float(sums[-1] if total is None else total)
    return min(int(sums.searchsorted(wanted, "left")) + 1, len(weights))


def checked_integer(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return the argument `name`'s `value` as int.

    Raises
    ------
    ArgumentError : not an integer, or out of range.
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        number = int(value)
        if low <= number and (high is None or number <= high):
            return number
    span = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise ArgumentError(f"{name}: wanted an integer {span}, found {value!r}")


def _number(name: str, value: object, high: float | None = None) -> float:
    """`value` as float.

    Raises
    ------
    ArgumentError : not a finite number of at least 0, or more than `high`.
    """
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if 0 <= number < math.inf and (high is None or number <= high):
            return number
    span = "of at least 0" if high is None else f"from 0 to {high:g}"
    raise ArgumentError(f"{name}: wanted a finite number {span}, found {value!r}")


def _stop_strings(stop: object) -> tuple[str, ...]:
    """`stop` as a tuple.

    Raises
    ------
    ArgumentError : not a string or strings, or an empty one.
    """
    if stop is None:
        return ()
    texts = tuple(stop) if isinstance(stop, Collection) else (stop,)
    if isinstance(stop, str):
        texts = (stop,)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise ArgumentError(f"stop: wanted non-empty strings, found {text!r}")
    return texts
