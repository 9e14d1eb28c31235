"""DRY, "don't repeat yourself": the longer a repetition, the larger the penalty.

Invented by p-e-w, in pull request 5677 of text-generation-webui. Sequence breakers are
matched to tokens as in llama.cpp.
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

_MAX_EXPONENT = 88.0  # exp(88) still fits a float32

Tails = set[tuple[int, ...]]


class TokenTexts(Protocol):
    """The methods of a tokenizer that DRY uses."""

    @property
    def n_vocab(self) -> int:
        """Number of tokens; ids run from 0."""

    def token_bytes(self, token: int) -> bytes:
        """Return the text of a token."""

    def encode(self, text: str, *, add_bos: bool, continues: bool) -> list[int]:
        """Return the tokens of a text."""


class Dry:
    """Penalises tokens that would extend a repetition.

    Parameters
    ----------
    params : SamplingParams
        Only the options named `dry_*` are used.
    tokenizer : TokenTexts or None
        Finds the tokens of the sequence breakers; None uses no breakers.
    """

    def __init__(self, params: SamplingParams, tokenizer: TokenTexts | None) -> None:
        self._params = params
        texts = tuple(params.dry_sequence_breakers or ())
        self._breakers = _find_breakers(tokenizer, texts) if tokenizer else {}
        self._max_exponent = math.inf
        if params.dry_base > 1:
            self._max_exponent = _MAX_EXPONENT / math.log(params.dry_base)

    def penalise(self, logits: NDArray[np.float32], tokens: NDArray[np.int32]) -> None:
        """Lower the logits of tokens that would extend a repetition, in place."""
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
        """Return the longest possible repetition: the tokens after the last breaker."""
        if not self._breakers:
            return len(window)
        ids = window.tolist()
        for n_after, token in enumerate(reversed(ids)):
            start = len(ids) - n_after
            matches = [
                len(tail)
                for tail in self._breakers.get(token, ())
                if tuple(ids[start : start + len(tail)]) == tail
            ]
            if matches:
                return n_after - max(matches)
        return len(ids)


def _repetitions(window: NDArray[np.int32], reach: int) -> dict[int, int]:
    """Return the length of the repetition that each token would extend.

    All lengths grow together: after n rounds, the places that remain are those preceded
    by the same n tokens that end the window.
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
    """Return the tokens in which a breaker begins, and the tokens that complete it.

    A token that contains a whole breaker has the empty tail. The search looks at the
    whole vocabulary, so its result is cached for as long as the tokenizer lives.
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
    """Yield tokens that contain `text` or end with its beginning, and its remainder."""
    heads = [text[:n] for n in range(1, len(text))]
    for token in range(tokenizer.n_vocab):
        word = tokenizer.token_bytes(token)
        if text in word:
            yield token, b""
        else:
            for head in heads:
                if word.endswith(head):
                    yield token, text[len(head) :]
