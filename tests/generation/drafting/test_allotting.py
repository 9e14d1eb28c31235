"""Sharing out a pass's free rows among drafts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.generation.drafting.allotting import allot
from llamacy.generation.drafting.row_costs import RowCosts
from tests.support.drafted import FreeRows


class Costs(RowCosts):
    """Given costs of 1, 2, ... rows."""

    most_rows = 99

    def __init__(self, *costs: float) -> None:
        super().__init__()
        self._given = costs

    def of(self, n_rows: int) -> float:
        return self._given[n_rows - 1]


def test_without_drafts_there_is_nothing_to_share_out() -> None:
    assert allot([(), ()], 14, FreeRows()) == [0, 0]
    assert allot([], 16, FreeRows()) == []


def test_free_rows_are_all_used_and_the_likeliest_come_first() -> None:
    chances = [[0.9, 0.8, 0.1], [], [0.85, 0.5, 0.4]]
    assert allot(chances, 3, FreeRows()) == [2, 0, 1]
    assert allot(chances, 13, FreeRows()) == [3, 0, 3]


def test_one_row_may_be_too_expensive_where_more_are_not() -> None:
    """As where kernels take rows by fours."""
    costs = Costs(1, 2, 2, 2, 3.5)
    assert allot([[0.9, 0.8, 0.7, 0.6]], 4, costs) == [3]
    assert allot([[0.9, 0.8, 0.7, 0.6]], 1, costs) == [0]


def test_a_small_gain_is_left_alone() -> None:
    assert allot([[0.5]], 15, Costs(1, 1.45)) == [0]
    assert allot([[0.5]], 15, Costs(1, 1.40)) == [1]


def test_no_more_rows_are_taken_than_may_be_tried() -> None:
    assert allot([[0.9] * 15], 15, RowCosts()) == [1]


fallings = st.lists(st.floats(0.02, 1), max_size=4).map(
    lambda chances: list(itertools.accumulate(chances, min))
)


@settings(max_examples=60)
@given(
    st.lists(fallings, min_size=1, max_size=3),
    st.integers(0, 8),
    st.lists(st.floats(1, 4), min_size=15, max_size=15),
)
def test_no_other_way_leads_to_more_tokens_a_second(
    chances: list[list[float]], most: int, costs: list[float]
) -> None:
    def speed(n_tokens: tuple[int, ...]) -> float:
        n_right = sum(sum(c[:n]) for c, n in zip(chances, n_tokens, strict=True))
        n_texts = len(chances)
        return (n_texts + n_right) / costs[n_texts + sum(n_tokens) - 1]

    found = tuple(allot(chances, most, Costs(*costs)))
    ways = itertools.product(*(range(len(each) + 1) for each in chances))
    best = max(speed(way) for way in ways if sum(way) <= most)
    none = speed((0,) * len(chances))
    assert sum(found) <= most
    assert speed(found) == pytest.approx(best if any(found) else none)
    if not any(found):
        assert best <= none * 1.0501
