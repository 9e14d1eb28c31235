"""Where the end of a text has occurred before in it, prompt included.

A place is the index of a token, and stands for the tokens before it. Two tables have
the last place after each token and after each pair, so that a token costs the same in a
text of any length. While the text goes on as it did at the source, the source moves on.

Where an edited text leaves its source, it often comes back: a word is replaced, a line
inserted. The next tokens are then sought near the place where it was left, before
anywhere else.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

import numpy as np

LONGEST: Final = 20
"""Most tokens before a new source that are compared with the end of the text."""

_FACTOR: Final = 0x9E3779B1  # odd, so that no two tokens have one product, modulo 2^n
_LEAST_SLOTS, _MOST_SLOTS = 2**10, 2**17
_SURE = 3  # tokens alike that make a source worth coming back to
_NEAR = 8  # tokens after the place that was left, and tokens of the text since then


class Lookup:
    """Follows a text, and the place where it has gone on alike before.

    Parameters
    ----------
    ids : iterable of int
        The tokens so far, at least one.

    Attributes
    ----------
    n_alike : int
        Tokens at the end of the text that are also before the source, as far as they
        were compared; 0 without a source.
    is_resumed : bool
        Whether the source was found near one that the text had left.
    """

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids = list(ids)
        size = (2 * len(self._ids) + _LEAST_SLOTS).bit_length()
        n_slots = min(1 << size, _MOST_SLOTS)
        self._mask = n_slots - 1
        self._after_token = array("i", bytes(4 * n_slots))  # 0: no place
        self._after_pair = array("i", bytes(4 * n_slots))
        self._fill()
        self._source = 0
        self.n_alike = 0
        self.is_resumed = False
        self._left = 0  # the source that the text has left; 0: too long ago
        self._n_since = 0
        self._find()

    @property
    def expected(self) -> int | None:
        """The token that came next at the source; None without a source."""
        return self._ids[self._source] if self._source else None

    def propose(self, most: int) -> list[int]:
        """Return the tokens that came next at the source, `most` if there is one.

        A source near the end of the text overlaps with its own continuation, which
        then repeats: the text is in a loop.
        """
        if not self._source:
            return []
        tokens = self._ids[self._source : self._source + most]
        return (tokens * -(-most // len(tokens)))[:most]

    def accept(self, token: int) -> None:
        """Add a token to the text."""
        ids = self._ids
        place = len(ids)
        self._after_token[ids[-1] & self._mask] = place
        if place > 1:
            self._after_pair[self._slot(ids[-2], ids[-1])] = place
        ids.append(token)
        if self._source and ids[self._source] == token:
            self._source += 1
            self.n_alike += 1
            return
        if self.n_alike >= _SURE or self.is_resumed:
            self._left, self._n_since = self._source, 0
        self._find()

    def _fill(self) -> None:
        """Note the places in the text so far, but for its end, which nothing follows.

        Of repeated indices NumPy leaves the last value: the latest place.
        """
        ids = np.array(self._ids, np.int64)
        places = np.arange(1, len(ids), dtype=np.int32)
        after_token = np.frombuffer(self._after_token, np.int32)
        after_token[ids[:-1] & self._mask] = places
        after_pair = np.frombuffer(self._after_pair, np.int32)
        after_pair[(ids[:-2] * _FACTOR + ids[1:-1]) & self._mask] = places[1:]

    def _find(self) -> None:
        """Find a source for the end of the text."""
        ids = self._ids
        self._source = self.n_alike = 0
        self.is_resumed = False
        if len(ids) > 1:
            self._compare(self._after_pair[self._slot(ids[-2], ids[-1])], 2)
        if not self._source:
            self._compare(self._after_token[ids[-1] & self._mask], 1)
        if self._left:
            self._resume()

    def _compare(self, place: int, least: int) -> None:
        """Take a place as the source if `least` tokens before it are the last ones."""
        ids, n = self._ids, 0
        for at in range(1, min(place, LONGEST) + 1):
            if ids[place - at] != ids[-at]:
                break
            n = at
        if n >= least:
            self._source, self.n_alike = place, n

    def _resume(self) -> None:
        """Prefer a place near the one that was left, unless the source is as sure."""
        ids = self._ids
        self._n_since += 1
        if self._n_since > _NEAR or self.n_alike >= _SURE:
            self._left = 0
            return
        near = ids[self._left : min(self._left + _NEAR, len(ids) - 1)]
        if ids[-1] in near:
            self._source = self._left + near.index(ids[-1]) + 1
            self.n_alike = 1
            self.is_resumed = True

    def _slot(self, first: int, second: int) -> int:
        return (first * _FACTOR + second) & self._mask
