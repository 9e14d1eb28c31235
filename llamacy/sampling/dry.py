"""DRY, "don't repeat yourself": the longer a repetition, the costlier its next token.

By p-e-w, text-generation-webui pull request 5677; breakers as llama.cpp finds them.
"""

from __future__ import annotations

import math
import weakref
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.sampling.checks import LIMIT
from llamacy.sampling.params import SamplingParams
from llamacy.sampling.penalties import last

_MAX_EXPONENT = 88.0  # natural, of a float32

Tails = set[tuple[int, ...]]


class TokenTexts(Protocol):
    """What DRY asks of a tokenizer."""

    @property
    def n_vocab(self) -> int:
        """Tokens; ids run from 0."""

    def token_bytes(self, token: int) -> bytes:
        """Text of a token."""

    def encode(self, text: str, *, add_bos: bool, continues: bool) -> list[int]:
        """Turn text into tokens."""


class Dry:
    """Penalises repetitions.

    Parameters
    ----------
    params : the options named ``dry_``.
    tokenizer : finds the breakers among the tokens; without one there are none.
    """

    def __init__(self, params: SamplingParams, tokenizer: TokenTexts | None) -> None:
        self._params = params
        texts = tuple(params.dry_sequence_breakers or ())
        self._breakers = _find_breakers(tokenizer, texts) if tokenizer else {}
        self._max_exponent = math.inf
        if params.dry_base > 1:
            self._max_exponent = _MAX_EXPONENT / math.log(params.dry_base)

    def penalise(self, logits: NDArray[np.float32], tokens: NDArray[np.int32]) -> None:
        """Lower the logits of what would go on with a repetition, in place."""
        params = self._params
        window = last(tokens, params.dry_penalty_last_n)
        reach = self._reach(window)
        if reach < max(params.dry_allowed_length, 1):
            return
        for token, length in _repetitions(window, reach).items():
            excess = length - params.dry_allowed_length
            if excess >= 0 and () not in self._breakers.get(token, ()):
                power = params.dry_base ** min(excess, self._max_exponent)
                logits[token] -= np.float32(min(params.dry_multiplier * power, LIMIT))

    def _reach(self, window: NDArray[np.int32]) -> int:
        """Longest repetition there may be: how many tokens follow the last breaker."""
        if not self._breakers:
            return len(window)
        ids = window.tolist()
        for n_after, token in enumerate(reversed(ids)):
            start = len(ids) - n_after
            fits = [
                len(tail)
                for tail in self._breakers.get(token, ())
                if tuple(ids[start : start + len(tail)]) == tail
            ]
            if fits:
                return n_after - max(fits)
        return len(ids)


def _repetitions(window: NDArray[np.int32], reach: int) -> dict[int, int]:
    """For each token that once followed what the window ends with: how much of it.

    The lengths grow together: after n rounds those places are left whose n tokens
    before are the last n of the window.
    """
    lengths: dict[int, int] = {}
    places = np.flatnonzero(window[:-1] == window[-1]) + 1
    n = 1
    while len(places):
        for token in window[places].tolist():
            lengths[token] = n
        if n == reach:
            break
        places = places[places > n]
        places = places[window[places - 1 - n] == window[-1 - n]]
        n += 1
    return lengths


_known: weakref.WeakKeyDictionary[
    TokenTexts, dict[tuple[str, ...], dict[int, Tails]]
] = weakref.WeakKeyDictionary()


def _find_breakers(tokenizer: TokenTexts, texts: tuple[str, ...]) -> dict[int, Tails]:
    """Tokens with which a breaker begins, and the tokens that complete it.

    A token that holds a whole breaker has the empty tail. Looks at every token, and
    keeps what it found as long as the tokenizer.
    """
    known = _known.setdefault(tokenizer, {})
    if texts not in known:
        found: defaultdict[int, Tails] = defaultdict(set)
        for text in texts:
            for token, rest in _beginnings(tokenizer, text.encode(errors="replace")):
                tail = rest.decode(errors="replace")
                ids = tokenizer.encode(tail, add_bos=False, continues=True)
                found[token].add(tuple(ids))
        known[texts] = dict(found)
    return known[texts]


def _beginnings(tokenizer: TokenTexts, text: bytes) -> Iterable[tuple[int, bytes]]:
    """Tokens that hold `text` or end with its beginning, and what is missing then."""
    heads = [text[:n] for n in range(1, len(text))]
    for token in range(tokenizer.n_vocab):
        word = tokenizer.token_bytes(token)
        if text in word:
            yield token, b""
        else:
            for head in heads:
                if word.endswith(head):
                    yield token, text[len(head) :]
