"""How prompts that take many passes share the time with other calls' texts.

A pass that reads a part of a prompt takes several times as long as one in which texts
grow alone. Short prompts are read at once all the same: whoever sent them waits for the
first token, and the others are held up for a few passes. A prompt of many thousand
tokens would hold them up for a minute, so that

- short prompts come before long ones;
- after each pass that reads a long prompt beside texts of other calls, the texts grow
  alone for a little longer than that pass took. They keep half of their speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from llamacy.generation.parts import Part
from llamacy.generation.request import AnyRequest
from llamacy.generation.stages import Stage

LONG: Final = 512
"""Tokens to read that make a prompt long: four passes beside texts that grow."""

ALONE: Final = 1.25
"""How much longer texts grow alone than a pass took that read beside them: reading
leaves the caches with other things in them, and their first passes are slower."""

MOST_SKIPPED: Final = 3
"""Passes that short prompts may fill before a long one comes first."""


class Pacing:
    """Decides when long prompts are read, by the time that passes have taken."""

    def __init__(self) -> None:
        self._owed = 0.0  # seconds that texts may still grow alone
        self._n_skipped = 0

    def arranged(self, requests: Sequence[AnyRequest]) -> Sequence[AnyRequest]:
        """Return the requests that may have rows in the next pass, in their order.

        Parameters
        ----------
        requests : sequence of Request
            The active ones.
        """
        long = [one for one in requests if _is_long(one)]
        if not long:
            return requests
        others = [one for one in requests if one not in long]
        if self._owed > 0:
            growing = [one for one in requests if one.stage is Stage.GROWING]
            long = [one for one in long if not _is_beside_others(one, growing)]
        if self._n_skipped >= MOST_SKIPPED:
            return long + others
        return others + long

    @contextmanager
    def watching(
        self, requests: Sequence[AnyRequest], parts: Sequence[Part]
    ) -> Iterator[None]:
        """Note a pass, which runs within this block.

        Parameters
        ----------
        requests : sequence of Request
            The requests that `arranged` returned.
        parts : sequence of Part
            The rows of the pass.
        """
        read = [part.request for part in parts if _is_long(part.request)]
        growing = [part.request for part in parts if part.is_decode]
        is_shared = any(_is_beside_others(one, growing) for one in read)
        if read:
            self._n_skipped = 0
        elif any(map(_is_long, requests)):
            self._n_skipped += 1
        started = perf_counter()
        yield
        seconds = perf_counter() - started
        if is_shared:
            self._owed = ALONE * seconds
        else:
            self._owed = max(0.0, self._owed - seconds)


def _is_long(request: AnyRequest) -> bool:
    """Whether many tokens are still to be read."""
    return request.stage is Stage.READING and request.n_unread > LONG


def _is_beside_others(request: AnyRequest, growing: Sequence[AnyRequest]) -> bool:
    """Whether texts grow that are another call's."""
    return not all(request.is_of_call(one) for one in growing)
