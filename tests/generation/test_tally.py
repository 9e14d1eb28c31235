"""The share of a call's work that is done: reading and generating."""

from __future__ import annotations

import pytest

from llamacy.errors import ArgumentError
from llamacy.generation.events import Done, Progress
from llamacy.generation.tally import Tally
from tests.support.scripted import request


def test_requests_count_alike_and_in_full_at_their_ends() -> None:
    shares: list[float] = []
    tally = Tally(shares.append, 4)
    long, short = request("p" * 90, max_tokens=10), request("p" * 4, max_tokens=4)
    long.n_read = 50
    tally.note(long, Progress())
    short.n_read, short.goal.n_chosen = 4, 2
    tally.note(short, Progress())
    tally.note(long, Done())
    tally.note(short, Done())
    tally.skip()
    tally.finish()
    assert shares == [0.5 / 4, (0.5 + 0.75) / 4, 1.75 / 4, 0.5, 0.75, 1.0]


def test_shares_only_grow() -> None:
    shares: list[float] = []
    tally, one = Tally(shares.append, 1), request("p" * 10, max_tokens=0)
    for n_read in (5, 3, 5, 10):
        one.n_read = n_read
        tally.note(one, Progress())
    tally.note(one, Done())
    tally.finish()
    assert shares == [0.5, 1.0]


def test_without_a_number_only_the_end_is_told() -> None:
    shares: list[float] = []
    tally, one = Tally(shares.append, None), request("p")
    tally.note(one, Progress())
    tally.note(one, Done())
    assert shares == []
    tally.finish()
    assert shares == [1.0]


def test_a_text_that_outgrows_its_context_is_not_more_than_whole() -> None:
    one = request("p" * 10, n_ctx=20, max_tokens=500, make_room=lambda _: [1])
    one.n_read, one.goal.n_chosen = 10, 400
    assert one.share == 1.0


@pytest.mark.parametrize("n", [0, 1, None])
def test_progress_must_be_callable(n: int | None) -> None:
    with pytest.raises(ArgumentError, match="^progress: wanted a callable"):
        Tally(5, n)  # type: ignore[arg-type]
