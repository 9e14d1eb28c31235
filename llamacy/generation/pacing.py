"""How prompts that take many passes share the time with other calls' texts.

A pass that reads a part of a prompt takes several times as long as one in which texts
grow alone. Short prompts are read at once all the same: whoever sent them waits for the
first token, and the others are held up for a few passes. A prompt of many thousand
tokens would hold them up for a minute, so that

- short prompts come before long ones;
- after each pass that reads a long prompt beside texts of other calls, the texts grow
  alone for a little longer than that pass took. They keep half of their speed;
- such a pass reads fewer tokens where they take long, at the end of a very long prompt
  or in a large model, so that the texts do not stand still for seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from weakref import WeakSet

from llamacy.generation.parts import MAX_READ_BESIDE, Part
from llamacy.generation.request import AnyRequest
from llamacy.generation.stages import Stage

LONG: Final = 512
"""Tokens to read that make a prompt long: four passes beside texts that grow."""

ALONE: Final = 1.25
"""How much longer texts grow alone than a pass took that read beside them: reading
leaves the caches with other things in them, and their first passes are slower."""

BESIDE_SECONDS: Final = 0.5
"""Most time that reading may add to a pass, unless fewer tokens are not worth it."""

MIN_READ_BESIDE: Final = 32
"""Tokens of a long prompt that a pass reads at the least."""

MOST_SKIPPED: Final = 3
"""Passes that short prompts may fill before a long one comes first."""


class Pacing:
    """Decides when long prompts are read, by the time that passes have taken.

    Attributes
    ----------
    n_beside : int
        Most tokens of prompts to read in a pass in which texts grow, too.
    """

    def __init__(self) -> None:
        self.n_beside = MAX_READ_BESIDE
        self._long = WeakSet[AnyRequest]()  # to their ends, which are as slow to read
        self._owed = 0.0  # seconds that texts may still grow alone
        self._alone = 0.0  # seconds of the last pass in which they did
        self._n_skipped = 0

    def arranged(self, requests: Sequence[AnyRequest]) -> Sequence[AnyRequest]:
        """Return the requests that may have rows in the next pass, in their order.

        Parameters
        ----------
        requests : sequence of Request
            The active ones.
        """
        reading = [one for one in requests if one.stage is Stage.READING]
        long = [one for one in reading if one in self._long or one.n_unread > LONG]
        if not long:
            self._long.clear()
            self.n_beside = MAX_READ_BESIDE
            return requests
        self._long = WeakSet(long)
        others = [one for one in requests if one not in long]
        if self._owed > 0:
            growing = [one for one in requests if one.stage is Stage.GROWING]
            long = [one for one in long if not _is_beside_others(one, growing)]
        if self._n_skipped >= MOST_SKIPPED:
            return long + others
        return others + long

    def note(
        self, requests: Sequence[AnyRequest], parts: Sequence[Part], seconds: float
    ) -> None:
        """Note a pass.

        Parameters
        ----------
        requests : sequence of Request
            The requests that `arranged` returned.
        parts : sequence of Part
            The rows of the pass.
        seconds : float
            The time that it took.
        """
        growing = [part.request for part in parts if part.is_decode]
        if self._long and self._note_long(requests, parts, growing):
            self._owed = ALONE * seconds
            self._fit(seconds - self._alone)
            return
        self._owed = max(0.0, self._owed - seconds)
        if len(growing) == len(parts):
            self._alone = seconds

    def _note_long(
        self,
        requests: Sequence[AnyRequest],
        parts: Sequence[Part],
        growing: Sequence[AnyRequest],
    ) -> bool:
        """Note whether a long prompt was read; return whether others' texts grew."""
        read = [part.request for part in parts if part.request in self._long]
        if read:
            self._n_skipped = 0
        elif any(one in self._long for one in requests):
            self._n_skipped += 1
        return any(_is_beside_others(one, growing) for one in read)

    def _fit(self, added: float) -> None:
        """Choose how much is read beside texts by the time that it has added."""
        if added > BESIDE_SECONDS:
            self.n_beside = max(MIN_READ_BESIDE, self.n_beside // 2)
        elif added < BESIDE_SECONDS / 4:
            self.n_beside = min(MAX_READ_BESIDE, self.n_beside * 2)


def _is_beside_others(request: AnyRequest, growing: Sequence[AnyRequest]) -> bool:
    """Whether texts grow that are another call's."""
    return not all(request.is_of_call(one) for one in growing)
