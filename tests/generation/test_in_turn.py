"""Chunks: which rows are read and which wanted, in what order, and what is left."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.generation.context import Context
from llamacy.generation.goals.logits import Logits, Receive
from llamacy.generation.in_turn import run_in_turn
from llamacy.generation.request import Leftover, Request
from llamacy.generation.worker import Worker
from tests.support.scripted import ScriptedExecutor, Vocabulary


def logits_request(text: str, first: int, receive: Receive) -> Request[Logits]:
    context = Context(Vocabulary.ids(text), 100)
    goal = Logits(context, receive, first, len(text) - 1)
    return Request(goal, leftover=Leftover.CLOSED)


def chunk(text: str, first: int, got: list[tuple[int, int]]) -> Request[Logits]:
    def receive(token: int, logits: NDArray[np.float32]) -> None:
        got.append((token, len(logits)))

    return logits_request(text, first, receive)


def run(
    executor: ScriptedExecutor, *requests: Request[Logits], n: int = 4
) -> list[str]:
    """Run requests; return their texts as they are yielded."""
    worker = Worker(executor, cache_bytes=10)
    texts = []
    for request in run_in_turn(worker, requests, n, lambda: None):
        texts.append(bytes(token - 1 for token in request.context.ids).decode())
    assert executor.n_open == 0
    worker.close()
    return texts


def test_only_the_end_is_wanted_and_the_last_token_not_read() -> None:
    executor, got = ScriptedExecutor({}), list[tuple[int, int]]()
    run(executor, chunk("a" * 23, 11, got))
    assert got == [(11, 8), (19, 3)]
    # a pass has rows that are wanted or rows that are not
    assert executor.passes == [8, 3, 8, 3]


def test_chunks_fill_a_pass_together_and_come_in_order() -> None:
    executor = ScriptedExecutor({}, n_batch=16)
    texts = ["a" * 9, "b" * 33, "c" * 9, "d" * 17]
    assert run(executor, *(chunk(text, 4, []) for text in texts)) == texts
    assert max(executor.passes) == 16


def test_a_full_queue_refuses_a_long_call_only_at_its_beginning() -> None:
    executor = ScriptedExecutor({}, n_batch=2)
    texts = [letter * 9 for letter in "abcdefghijkl"]
    requests = [chunk(text, 4, []) for text in texts]
    worker = Worker(executor, cache_bytes=10, max_waiting=0)
    ended = list(run_in_turn(worker, requests, 6, lambda: None))
    assert ended == requests


@pytest.mark.parametrize("n", [1, 2])
def test_so_many_at_once(n: int) -> None:
    executor = ScriptedExecutor({}, n_batch=100)
    run(executor, *(chunk(letter * 40, 20, []) for letter in "abcd"), n=n)
    assert 20 * (n - 1) < max(executor.passes) <= 20 * n


def test_chunks_that_begin_alike_are_all_read() -> None:
    executor = ScriptedExecutor({}, n_batch=64)
    got: list[tuple[int, int]] = []
    run(executor, *(chunk("a" * 40 + end, 20, got) for end in "xyx"), n=1)
    assert sum(executor.passes) == 3 * 40
    assert got == [(20, 20)] * 3


def test_an_error_ends_all_and_gives_everything_back() -> None:
    def fail(token: int, logits: NDArray[np.float32]) -> None:
        raise ZeroDivisionError

    executor = ScriptedExecutor({})
    bad = logits_request("a" * 30, 15, fail)
    with pytest.raises(ZeroDivisionError):
        run(executor, chunk("b" * 30, 15, []), bad, *[chunk("c" * 30, 15, [])] * 2, n=2)
    assert executor.n_open == 0


def test_leaving_early_ends_what_runs() -> None:
    executor = ScriptedExecutor({})
    worker = Worker(executor, 0)
    requests = [chunk("a" * 30, 15, []) for _ in range(5)]
    ended = run_in_turn(worker, requests, 3, lambda: None)
    assert next(ended) is requests[0]
    ended.close()
    assert executor.n_open == 0
    assert not any(request.is_running for request in requests)
    worker.close()
