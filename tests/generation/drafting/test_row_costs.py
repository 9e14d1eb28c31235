"""The costs of passes: ratios of measured times, and guesses about others."""

from __future__ import annotations

import pytest

from llamacy.generation.drafting.row_costs import RowCosts


def noted(*passes: tuple[int, float], n_texts: int = 1) -> RowCosts:
    """Return the costs after passes of (rows, seconds)."""
    costs = RowCosts()
    for n_rows, seconds in passes:
        costs.note("text", n_texts, n_rows, seconds)
    return costs


def test_a_cost_is_the_ratio_to_a_pass_of_one_row() -> None:
    costs = noted((1, 2.0), (4, 3.0), (8, 5.0))
    assert [costs.of(n) for n in (1, 4, 8)] == [1, 1.5, 2.5]


def test_costs_of_other_rows_lie_a_little_below_a_line() -> None:
    costs = noted((1, 2.0), (4, 3.0), (8, 5.0))
    assert 1 < costs.of(3) < 1 + 2 * 0.5 / 3
    assert 1.5 < costs.of(6) < 2
    assert 2.5 < costs.of(16) < 2.5 + 8 * 1.5 / 7
    assert 1 < RowCosts().of(8) < 2


def test_no_more_than_twice_the_rows_tried_are_tried_next() -> None:
    assert RowCosts().most_rows == 2
    assert noted((1, 1.0), (2, 1.0), (3, 1.0)).most_rows == 6


def test_a_pass_that_was_held_up_makes_little_difference() -> None:
    times = [1.0, 9.0, 1.1, 1.0, 7.0, 1.0, 1.1]
    costs = noted(*[(1, t) for t in times], *[(4, 2 * t) for t in times])
    assert costs.of(4) == pytest.approx(2, rel=0.1)


def test_times_of_other_texts_are_not_compared() -> None:
    costs = noted((1, 1.0), (4, 2.0))
    for _ in range(9):  # a long text, whose attention takes longer
        costs.note("long", 1, 4, 20.0)
    assert costs.of(4) == 2
    for _ in range(9):
        costs.note("long", 1, 1, 10.0)
        costs.note("long", 1, 4, 15.0)
    assert costs.of(4) == 1.5


def test_a_row_for_each_of_several_texts_is_the_least() -> None:
    costs = noted((3, 2.0), (6, 3.0), n_texts=3)
    assert costs.of(6) / costs.of(3) == pytest.approx(1.5)
    assert costs.most_rows == 12


def test_costs_that_were_measured_long_ago_are_guessed_again() -> None:
    costs = noted((1, 1.0), (4, 90.0))
    assert costs.of(4) == 90
    for _ in range(512):
        costs.note("text", 1, 1, 1.0)
    assert costs.of(4) == 90
    for _ in range(512):
        costs.note("text", 1, 1, 1.0)
    assert costs.of(4) < 2
