"""The sampler chain: a row of logits in, a token out."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NoReturn

import numpy as np

# NumPy would import this on first use, in one thread while another may fork; the child
# process would then wait forever for the import lock.
import numpy.random
from numpy.typing import NDArray

from llamacy.arguments import short
from llamacy.errors import ArgumentError, ModelOutputError
from llamacy.sampling import truncation
from llamacy.sampling.constraint import Constraint
from llamacy.sampling.drawing import MOST_KEPT, draw
from llamacy.sampling.dry import Dry, TokenTexts
from llamacy.sampling.largest import largest
from llamacy.sampling.mirostat import Mirostat
from llamacy.sampling.params import SamplingParams
from llamacy.sampling.penalties import has_penalties, penalise

_Ids = NDArray[np.intp]
_Logits = NDArray[np.float64]


class Sampler:
    """Draws tokens from rows of logits, with a random generator of its own.

    Parameters
    ----------
    params : SamplingParams
        The options; the caller handles the options that end a text.
    tokenizer : TokenTexts, optional
        Finds DRY's sequence breakers among the tokens.
    seed_offset : int
        Makes several samples of one prompt differ although they share a seed.
    suppressed : collection of int
        Tokens that are never sampled, whatever their biases, as in llama.cpp.
    suppressed_first : collection of int
        Tokens that are not the first one sampled.
    """

    def __init__(
        self,
        params: SamplingParams,
        tokenizer: TokenTexts | None = None,
        *,
        seed_offset: int = 0,
        suppressed: Collection[int] = (),
        suppressed_first: Collection[int] = (),
    ) -> None:
        self.params = params
        seed = None if params.seed in (None, -1) else [params.seed, seed_offset]
        self._random = numpy.random.default_rng(seed)
        self._tokens = _Tokens()
        self._has_penalties = has_penalties(params)
        self._dry: Dry | None = None
        if params.dry_multiplier > 0 and params.dry_penalty_last_n != 0:
            self._dry = Dry(params, tokenizer)
        self._mirostat = Mirostat(params) if params.mirostat else None
        self._biased = np.array([token for token, _ in params.biases], np.intp)
        self._biases = np.array([bias for _, bias in params.biases], np.float32)
        self._suppressed = np.array(sorted(suppressed), np.intp)
        first = sorted({*suppressed, *suppressed_first})
        self._suppressed_next = np.array(first, np.intp)
        self._is_greedy = (
            params.temperature == 0
            and params.dynatemp_range == 0
            and params.xtc_probability == 0
            and params.typical_p == 1
        )
        self._has_usual_chain = (
            0 < params.top_k <= MOST_KEPT
            and params.temperature > 0
            and params.dynatemp_range == 0
            and params.xtc_probability == 0
            and params.typical_p == 1
            and params.top_n_sigma <= 0
            and not params.mirostat
        )
        self._changes_logits = bool(
            params.logits_processors
            or len(self._biased)
            or len(self._suppressed_next)
            or self._has_penalties
            or self._dry is not None
        )
        # the likeliest token is chosen, of logits as they are
        self._is_plain = self._is_greedy and not self._changes_logits

    def accept(self, ids: Sequence[int]) -> None:
        """Record the prompt's tokens, which penalties and processors look at."""
        self._tokens.extend(ids)

    @property
    def takes_first(self) -> bool:
        """Whether the likeliest token is chosen if it may follow, whatever else may.

        Then a constraint need not tell which tokens may follow: see `sample_allowed`.
        """
        return self._is_greedy and not self.params.logits_processors

    def sample_allowed(
        self, logits: NDArray[np.float32], constraint: Constraint, *, is_free: bool
    ) -> tuple[int, bool]:
        """Choose a token that a constraint allows, and record it.

        Nothing is drawn where a single token may follow, as nothing would be if it had
        been read as forced.

        Parameters
        ----------
        logits : float32, (n_vocab,)
            The row of logits; changed in place.
        constraint : Constraint
            Says which tokens may follow.
        is_free : bool
            Whether it is certain that no token must follow: one that must is not just
            any of those that spell the same text.

        Returns
        -------
        token : int
            Id of the token.
        is_taken : bool
            Whether the constraint has grown by it.

        Raises
        ------
        ModelOutputError, ArgumentError
            As `sample` does.
        """
        if is_free and self.takes_first:
            return self._likeliest_allowed(logits, constraint)
        token = constraint.allow(logits)
        if token is None:
            return self.sample(logits, constraint), False
        self._tokens.append(token)
        return token, False

    def sample(
        self, logits: NDArray[np.float32], constraint: Constraint | None = None
    ) -> int:
        """Choose a token and record it.

        Parameters
        ----------
        logits : float32, (n_vocab,)
            The row of logits; changed in place. A token with `-inf` is never chosen.
        constraint : Constraint, optional
            Has set the logits of tokens that may not follow to `-inf`, and does so
            again where the caller's processors may have given them others.

        Returns
        -------
        int
            Id of the token.

        Raises
        ------
        ModelOutputError
            A logit is NaN or infinite, or all are `-inf`; or that of every token that
            the model's file does not suppress is.
        ArgumentError
            A logits processor, `logit_bias` or penalties left no finite logit to choose
            from.
        """
        likeliest = _check_finite(logits)
        if self._is_plain:
            token = likeliest
        elif self._is_usual(logits) and not self._changes_logits:
            token = self._draw(logits)
        else:
            # Logits far apart, or a temperature near 0, overflow to the right limits.
            with np.errstate(over="ignore", under="ignore"):
                token = self._choose(self._changed(logits, constraint))
        self._tokens.append(token)
        return token

    def _likeliest_allowed(
        self, logits: NDArray[np.float32], constraint: Constraint
    ) -> tuple[int, bool]:
        """Choose the likeliest token that may follow: see `sample_allowed`."""
        _check_finite(logits)
        logits = self._changed(logits, None)
        token = int(logits.argmax())
        is_taken = constraint.takes(token)
        if not is_taken:
            only = constraint.allow(logits)
            token = int(logits.argmax()) if only is None else only
            if only is None and not math.isfinite(logits[token]):
                self._refuse_none(logits[token])
        self._tokens.append(token)
        return token, is_taken

    def _changed(
        self, logits: NDArray[np.float32], constraint: Constraint | None
    ) -> NDArray[np.float32]:
        """Apply the steps that need the whole vocabulary."""
        if not self._changes_logits:
            return logits
        params = self.params
        tokens = self._tokens.array
        logits = self._processed(logits, tokens, constraint)
        if len(self._suppressed_next):
            logits[self._suppressed_next] = -np.inf
            if not math.isfinite(logits.max()):
                _refuse_suppressed()
        self._suppressed_next = self._suppressed
        if self._mirostat is None:
            if self._has_penalties and len(tokens):
                penalise(logits, tokens, params)
            if self._dry is not None and len(tokens):
                self._dry.penalise(logits, tokens)
            if self._has_penalties or self._dry is not None:
                _check_penalised(logits)
        return logits

    def _processed(
        self,
        logits: NDArray[np.float32],
        tokens: NDArray[np.int32],
        constraint: Constraint | None,
    ) -> NDArray[np.float32]:
        """Apply the caller's processors and biases."""
        processors = self.params.logits_processors
        assert isinstance(processors, tuple)
        for processor in processors:
            row = logits.copy()  # the processor may keep it
            logits[:] = _replaced(row, processor(tokens, row))
        if processors and constraint is not None:
            constraint.allow(logits)
        logits[self._biased] += self._biases
        if processors or len(self._biased):
            best = logits[logits.argmax()]
            if not math.isfinite(best):
                self._refuse_none(best)
        return logits

    def _refuse_none(self, best: np.float32) -> NoReturn:
        """Raise the error of a row without a token to choose, after all changes."""
        if not (self.params.logits_processors or len(self._biased)):
            _refuse_suppressed()
        raise ArgumentError(
            "logits_processors, logit_bias: wanted a finite logit to choose, "
            f"found {best} as the largest"
        )

    def _choose(self, logits: NDArray[np.float32]) -> int:
        params = self.params
        if self._is_greedy:
            return int(logits.argmax())
        if self._is_usual(logits):
            return self._draw(logits)
        if self._mirostat is not None:
            if params.temperature == 0:
                return int(logits.argmax())
            uniform = self._random.random()
            return self._mirostat.sample(logits, params.temperature, uniform)
        ids, x = self._truncated(*self._candidates(logits))
        temperature = params.temperature
        if params.dynatemp_range > 0:
            temperature = truncation.dynamic_temperature(
                x, temperature, params.dynatemp_range, params.dynatemp_exponent
            )
        if temperature == 0:
            return int(ids[x.argmax()])
        cumulative = np.exp((x - x.max()) / temperature).cumsum()
        drawn = self._random.random() * cumulative[-1]
        # A sum of many small numbers may round to just below `drawn`.
        index = min(int(cumulative.searchsorted(drawn, "right")), len(ids) - 1)
        return int(ids[index])

    def _is_usual(self, logits: NDArray[np.float32]) -> bool:
        return self._has_usual_chain and self.params.top_k < len(logits)

    def _draw(self, logits: NDArray[np.float32]) -> int:
        """Draw a token by the usual chain; without XTC, one random number decides."""
        params = self.params
        return draw(
            *(logits, params.top_k, params.top_p, params.min_p),
            *(params.temperature, self._random.random()),
        )

    def _candidates(self, logits: NDArray[np.float32]) -> tuple[_Ids, _Logits, float]:
        """Return the tokens that pass top-n-sigma and top-k, and their logits.

        The logits are relative to the largest. The order is likeliest first wherever a
        later step relies on it. The third value is the share left for top-p to keep:
        1 if top-p was applied here.
        """
        params, peak = self.params, logits.max()
        share = params.top_p
        bound = -np.inf
        if params.top_n_sigma > 0:
            bound = truncation.sigma_bound(logits, params.top_n_sigma) - float(peak)
        if 0 < params.top_k < len(logits):
            ids = largest(logits, params.top_k)
        elif params.typical_p == 1 and params.top_p < 1 and params.top_n_sigma <= 0:
            ids = truncation.nucleus(logits, peak, params.top_p, params.min_p)
            share = 1.0
        else:
            ids = self._without_top_k(logits, peak, bound)
        x = (logits[ids] - peak).astype(np.float64)
        if bound == -np.inf and np.isfinite(x).all():
            return ids, x, share
        passes = (x >= bound) & (x > -np.inf)
        return ids[passes], x[passes], share

    def _without_top_k(
        self, logits: NDArray[np.float32], peak: np.float32, bound: float
    ) -> _Ids:
        """Return candidates from the whole vocabulary, as few as is already certain."""
        params = self.params
        in_order = params.typical_p < 1 or params.top_p < 1
        if not in_order and params.min_p > 0:
            bound = max(bound, math.log(params.min_p))
        ids = np.flatnonzero(logits - peak >= bound)
        if in_order or params.xtc_probability > 0:
            ids = ids[largest(logits[ids], len(ids))]
        return ids

    def _truncated(self, ids: _Ids, x: _Logits, top_p: float) -> tuple[_Ids, _Logits]:
        """Return the candidates that pass typical, top-p, min-p and XTC."""
        params = self.params
        if params.typical_p < 1:
            indices = truncation.typical(x, params.typical_p)
            ids, x = ids[indices], x[indices]
        if top_p < 1:
            n_kept = truncation.top_p(x, top_p)
            ids, x = ids[:n_kept], x[:n_kept]
        if params.min_p > 0:
            likely = x >= x.max() + math.log(params.min_p)
            ids, x = ids[likely], x[likely]
        if params.xtc_probability > 0 and params.xtc_threshold <= 0.5:
            if self._random.random() <= params.xtc_probability:
                n_dropped = truncation.exclude_top(x, params.xtc_threshold)
                ids, x = ids[n_dropped:], x[n_dropped:]
        return ids, x


class _Tokens:
    """The tokens so far, in a growing array."""

    def __init__(self) -> None:
        self._data = np.empty(64, np.int32)
        self._n = 0

    @property
    def array(self) -> NDArray[np.int32]:
        """All tokens so far: int32, read-only."""
        tokens = self._data[: self._n]
        tokens.flags.writeable = False
        return tokens

    def extend(self, ids: Sequence[int]) -> None:
        end = self._n + len(ids)
        if end > len(self._data):
            self._data = np.resize(self._data, 2 * end)
        self._data[self._n : end] = ids
        self._n = end

    def append(self, token: int) -> None:
        if self._n == len(self._data):
            self._data = np.resize(self._data, 2 * self._n)
        self._data[self._n] = token
        self._n += 1


def _check_finite(logits: NDArray[np.float32]) -> int:
    """Raise ModelOutputError if a logit spoils the probabilities, or none is finite.

    Returns the index of the largest one.
    """
    # argmax treats NaN as the largest value, so that this single check finds them all
    best = int(logits.argmax())
    if not math.isfinite(logits[best]):
        raise ModelOutputError(
            f"logits: wanted finite numbers, found {logits[best]} for token "
            f"{best}: the model's weights are broken"
        )
    return best


def _check_penalised(logits: NDArray[np.float32]) -> None:
    """Raise ArgumentError if huge penalties of huge logits left none to choose."""
    best = logits[logits.argmax()]
    if not math.isfinite(best):
        raise ArgumentError(
            f"penalties: wanted a finite logit to choose, found {best} as the largest"
        )


def _refuse_suppressed() -> NoReturn:
    raise ModelOutputError(
        "logits: wanted a token to choose, found only those that the "
        "model's file suppresses"
    )


def _replaced(logits: NDArray[np.float32], result: object) -> NDArray[np.float32]:
    """Return the row of logits after a processor: the given one, or its result."""
    if result is None:
        return logits
    if not isinstance(result, np.ndarray) or result.shape != logits.shape:
        found = result.shape if isinstance(result, np.ndarray) else short(result)
        raise ArgumentError(
            f"logits_processors: wanted logits of shape {logits.shape} or None "
            f"returned, found {found}"
        )
    return result.astype(np.float32, copy=False)
