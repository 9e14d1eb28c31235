"""Rows given to workers that may be lost: none is forgotten, and none is done twice."""

from __future__ import annotations

import random
from collections.abc import Iterator

from llamacy.jobs.ordering import N_ROWS
from llamacy.jobs.ray.rows_left import RowsLeft
from llamacy.jobs.rows import Row
from tests.support.jobs import rows_of


def rows_left(n: int) -> RowsLeft:
    rows = rows_of({"n": str(n)} for n in range(n))
    return RowsLeft(rows[i : i + N_ROWS] for i in range(0, n, N_ROWS))


def indices(rows: list[Row]) -> list[int]:
    return [row.index for row in rows]


def test_each_row_is_done_once_whatever_is_lost() -> None:
    n = 2000
    choose = random.Random(1)
    left = rows_left(n)
    calls: list[list[int]] = []
    done: list[int] = []
    while True:
        rows = left.chunk() or left.late()
        if rows:
            calls.append(indices(rows))
        if left.is_empty:
            break
        if rows and len(calls) < 4:
            continue
        call = calls.pop(choose.randrange(len(calls)))
        is_lost = choose.random() < 0.3
        ended = call[: choose.randrange(len(call))] if is_lost else call
        done += [row.index for each in ended if (row := left.done(each)) is not None]
        left.returned(call, is_lost=is_lost)
        done += indices(left.hopeless())
    assert sorted(done) == list(range(n))


def test_rows_that_lose_workers_go_alone_and_then_fail() -> None:
    left = rows_left(3)
    for _ in range(3):
        assert left.hopeless() == []
        found = indices(left.chunk())
        assert found == [0, 1, 2]
        left.returned(found, is_lost=True)
    assert [indices(left.chunk()) for _ in range(4)] == [[0], [1], [2], []]
    for index in (0, 1):
        assert left.done(index) is not None
        left.returned([index])
    for _ in range(2):
        left.returned([2], is_lost=True)
        assert left.hopeless() == []
        assert indices(left.chunk()) == [2]
    left.returned([2], is_lost=True)
    assert indices(left.hopeless()) == [2]
    assert left.is_empty
    assert left.chunk() == []


def test_rows_that_no_worker_had_are_left() -> None:
    left = rows_left(N_ROWS + 1)
    n_done = 0
    while rows := left.chunk():
        n_done += sum(left.done(row.index) is not None for row in rows)
        # all that were given are done, but their calls have not ended
        assert not left.is_empty
    assert n_done == N_ROWS + 1
    assert left.is_empty


def test_the_last_rows_are_shared_out_among_workers() -> None:
    left = rows_left(N_ROWS + 200)
    sizes = []
    while rows := left.chunk(2):
        sizes.append(len(rows))
    assert sizes[:4] == [128] * 4
    assert sum(sizes[4:]) == 200
    assert sizes[4] == 50  # of 200 for two workers with two calls each
    assert max(sizes[-2:]) <= 16


def test_few_windows_are_read_ahead() -> None:
    n_read = 0

    def windows() -> Iterator[list[Row]]:
        nonlocal n_read
        for row in rows_of({"n": str(n)} for n in range(50)):  # of 8 MB, say
            n_read += 1
            yield [row]

    left = RowsLeft(windows())
    for n in range(1, 40):
        assert len(left.chunk(4)) == 1
        assert n_read <= n + 2


def test_late_rows_are_given_twice_and_taken_once() -> None:
    left = rows_left(2)
    assert indices(left.chunk()) == [0, 1]
    assert left.done(0) is not None
    assert indices(left.late()) == [1]
    assert left.late() == []
    left.returned([0, 1], is_lost=True)
    assert left.chunk() == []
    assert left.done(1) is not None
    assert left.done(1) is None
