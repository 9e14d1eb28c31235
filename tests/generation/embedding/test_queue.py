"""Requests for embeddings share passes, in turn with texts that are generated."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.config import Pooling
from llamacy.errors import ArgumentError, OutOfMemoryError
from llamacy.generation.goals.embed import Embed
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.request import Request
from llamacy.generation.scheduler import Scheduler
from llamacy.ops.batch import TextBatch
from tests.support.scripted import ScriptedExecutor, Vocabulary, add, request


def embed(
    *texts: Sequence[int],
    pooling: Pooling = "mean",
    types: Any = None,
    cancel: Any = None,
) -> Request[Embed]:
    return Request(Embed(TextBatch.of(texts, types), pooling), cancel=cancel)


def rows(one: Request[Embed]) -> list[list[float]]:
    assert one.is_settled
    assert one.goal.rows is not None
    found: list[list[float]] = one.goal.rows.tolist()
    return found


def run(executor: ScriptedExecutor, *requests: Request[Any]) -> Scheduler:
    scheduler = Scheduler(executor, PrefixCache(0))
    add(scheduler, *requests)
    while scheduler.has_work:
        assert not scheduler.is_idle
        scheduler.step()
    assert scheduler.is_idle
    assert scheduler.n_unfinished == 0
    return scheduler


def test_requests_that_pool_alike_share_a_pass_as_long_as_it_has_room() -> None:
    executor = ScriptedExecutor({}, n_batch=8)
    requests = [
        *(embed([1, 2, 3], [4]), embed([5, 6]), embed([7, 8, 9])),
        *(embed([1], pooling="cls"), embed([2])),
        *(embed([1] * 20), embed([3])),
    ]
    run(executor, *requests)
    assert executor.passes == [6, 3, 1, 1, 20, 1]
    assert rows(requests[0]) == [[1, 3, 3], [4, 4, 1]]
    assert [rows(one) for one in requests[1:3]] == [[[5, 6, 2]], [[7, 9, 3]]]
    assert rows(requests[5]) == [[1, 1, 20]]


def test_a_step_generates_and_embeds() -> None:
    executor = ScriptedExecutor({"go": Vocabulary.ids("abc")})
    run(executor, request("go"), *(embed([1] * 8) for _ in range(3)))
    assert executor.passes == [2, 8, 1, 8, 1, 8, 1]


def test_types_are_joined_with_texts_that_have_none() -> None:
    found: list[list[int]] = []

    class Noting(ScriptedExecutor):
        def embed(self, texts: TextBatch, pooling: Pooling) -> NDArray[np.float32]:
            found.append(texts.types_or_zeros.tolist())
            return super().embed(texts, pooling)

    run(Noting({}), embed([1, 2]), embed([3, 4], types=[[0, 1]]), embed([5]))
    assert found == [[0, 0, 0, 1, 0]]


def test_cached_texts_make_room_for_a_pass() -> None:
    class Short(ScriptedExecutor):
        def embed(self, texts: TextBatch, pooling: Pooling) -> NDArray[np.float32]:
            if self.n_open:
                raise OutOfMemoryError("no memory")
            return super().embed(texts, pooling)

    executor = Short({"go": Vocabulary.ids("a")})
    scheduler = Scheduler(executor, PrefixCache(1000))
    for one in (request("go"), embed([1])):
        add(scheduler, one)
        while scheduler.has_work:
            scheduler.step()
        assert one.error is None


def test_an_error_ends_the_requests_of_its_pass_alone() -> None:
    class Failing(ScriptedExecutor):
        def embed(self, texts: TextBatch, pooling: Pooling) -> NDArray[np.float32]:
            if pooling == "rank":
                raise ArgumentError("no classifier")
            return super().embed(texts, pooling)

    bad, good = [embed([1], pooling="rank") for _ in range(2)], embed([2])
    run(Failing({}), *bad, good)
    for one in bad:
        with pytest.raises(ArgumentError, match="no classifier"):
            one.raise_error()
    assert rows(good) == [[2, 2, 1]]


def test_requests_that_nobody_wants_are_in_no_pass() -> None:
    executor, cancel = ScriptedExecutor({}), threading.Event()
    cancelled, withdrawn, good = embed([1], cancel=cancel), embed([2]), embed([3])
    scheduler = Scheduler(executor, PrefixCache(0))
    add(scheduler, cancelled, withdrawn, good)
    cancel.set()
    withdrawn.withdraw()
    scheduler.step()
    assert (cancelled.goal.rows, withdrawn.goal.rows) == (None, None)
    assert cancelled.is_settled and withdrawn.is_settled
    assert rows(good) == [[3, 3, 1]]
    assert executor.passes == [1]


def test_all_end_when_the_scheduler_gives_up() -> None:
    scheduler = Scheduler(ScriptedExecutor({}), PrefixCache(0))
    waiting = embed([1])
    add(scheduler, waiting)
    scheduler.abandon(ArgumentError("over"))
    assert scheduler.is_idle
    with pytest.raises(ArgumentError, match="over"):
        waiting.raise_error()
