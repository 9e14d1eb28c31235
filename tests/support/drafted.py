"""Drafters for tests, which need not be right, and passes whose rows cost nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import llamacy
from llamacy.generation.drafting.drafter import Drafter, MakeDrafter
from llamacy.generation.drafting.row_costs import RowCosts
from llamacy.generation.worker import Worker
from llamacy.ops.state.sequence import SequenceState

Change = Callable[[int, int], int]
"""Maps a token's place in the text, and the token, to the one that is proposed."""


class FreeRows(RowCosts):
    """All passes cost the same, so that every draft is worth it."""

    most_rows = 99
    seconds = 1.0

    def of(self, n_rows: int) -> float:
        return 1.0


class Foretold:
    """Proposes what comes next in a text that the test knows, or something else.

    Parameters
    ----------
    ids : iterable of int
        The tokens so far.
    text : sequence of int
        The whole text, prompt included.
    change : Change, optional
        Makes proposals wrong.
    """

    def __init__(
        self, ids: Iterable[int], text: Sequence[int], change: Change | None = None
    ) -> None:
        self._n = len(list(ids))
        self._text = text
        self._change = change or (lambda place, token: token)
        self._most = 0

    def accept(self, token: int) -> None:
        self._n += 1

    def replace(self, ids: Iterable[int]) -> None:
        pass  # the text goes on, whatever is read again

    def begin(self, most: int, sequence: SequenceState) -> None:
        self._most = most

    def chances(self) -> Sequence[float]:
        return [1.0] * len(self.propose(self._most))

    def propose(self, n: int) -> list[int]:
        places = range(self._n, min(self._n + n, len(self._text)))
        return [self._change(place, self._text[place]) for place in places]


def foretelling(text: Sequence[int], change: Change | None = None) -> MakeDrafter:
    """Return what makes drafters that know a text."""

    def make(ids: Iterable[int]) -> Drafter:
        return Foretold(ids, text, change)

    return make


def wrong_at_random(seed: int, n_vocab: int) -> Change:
    """Make a quarter of all proposals wrong, with any tokens of the vocabulary."""
    rng = random.Random(seed)

    def change(_: int, token: int) -> int:
        return rng.randrange(n_vocab) if rng.random() < 0.25 else token

    return change


def rows_cost_nothing(worker: Worker) -> None:
    """Let all drafts of a worker's texts be worth it from now on."""
    worker._loop._scheduler.costs = FreeRows()


@contextmanager
def drafting(model: llamacy.Model, make: MakeDrafter) -> Iterator[None]:
    """Draft with other drafters in a block, whatever their rows cost."""
    engine, scheduler = model.engine, model.engine.worker._loop._scheduler
    make_before, costs_before = engine.make_drafter, scheduler.costs
    engine.make_drafter, scheduler.costs = make, FreeRows()
    try:
        yield
    finally:
        engine.make_drafter, scheduler.costs = make_before, costs_before
