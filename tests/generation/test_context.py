"""Tokens of a request, and what of them its sequence holds."""

from __future__ import annotations

import pytest
from scripted import ScriptedExecutor

from llamacy.generation.context import Context

IDS = list(range(10, 20))


def context(n_held: int, reach: int = 10**9) -> Context:
    """Return a context whose sequence holds `n_held` of ten tokens."""
    sequence = ScriptedExecutor({}, reach=reach).new_sequence()
    sequence.held = IDS[:n_held]
    return Context(IDS, 12, sequence)


def test_rows_go_on_after_the_tokens_that_were_read() -> None:
    one = context(4)
    assert one.n_cached == one.n_past == 4
    assert one.rows(3, 10, "all").tokens == [14, 15, 16]
    assert one.rows(3, 10, "all").n_wanted == 3
    assert one.rows(99, 6, "last").tokens == [14, 15]
    assert one.rows(99, 6, "last").n_wanted == 1
    assert one.rows(99, 4, "last").n_wanted == 0


@pytest.mark.parametrize(
    ("n_rows", "following"), [(0, []), (1, [14]), (4, [11, 12, 13, 14])]
)
def test_each_row_read_is_followed_by_the_next_token(
    n_rows: int, following: list[int]
) -> None:
    assert context(4).following(n_rows) == following


def test_nothing_follows_the_last_token_of_the_prompt() -> None:
    one = context(10)
    one.ids.append(99)  # of the text, not of the prompt
    assert one.following(2) == [19]


def test_a_context_without_a_sequence_holds_nothing() -> None:
    one = Context(IDS, 12)
    assert (one.n_past, one.n_cached) == (0, 0)


def test_a_context_is_full_when_all_its_tokens_are_there() -> None:
    one = context(10)
    assert not one.is_full
    one.ids += [1, 2]
    assert one.is_full


def test_rows_that_are_given_back_are_no_longer_held() -> None:
    one = context(8)
    one.truncate(9)
    assert one.n_past == 8
    one.truncate(5)
    assert one.n_past == 5
    assert one.rows(1, 10, "none").tokens == [15]


def test_other_tokens_are_read_from_where_they_differ() -> None:
    one = context(10)
    one.replace([10, 11, 12, 50, 51])
    assert one.n_past == 3
    assert one.ids == [10, 11, 12, 50, 51]
    assert one.n_reread == 1  # the last one would have been read anyway


def test_the_last_token_is_read_even_if_it_is_held() -> None:
    one = context(10)
    one.replace([10, 11, 12])
    assert one.n_past == 2
    assert one.n_reread == 0


def test_all_is_read_again_if_the_sequence_cannot_go_back() -> None:
    one = context(10, reach=2)
    one.replace([10, 11, 12, 50, 51])
    assert one.n_past == 0
    assert one.n_reread == 4
