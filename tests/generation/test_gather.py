"""Waiting for whole results: progress, errors, interrupts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sized

import pytest

from llamacy.generation.gather import gather, gather_async, made_in_thread
from llamacy.generation.goals.complete import Complete
from llamacy.generation.request import Request
from llamacy.generation.worker import Worker
from tests.support.scripted import (
    ScriptedExecutor,
    Vocabulary,
    request,
)
from tests.support.waiting import wait_until


def test_progress_is_told_of_reading_and_generating_and_may_end_it() -> None:
    prompt = "p" * 40
    executor = ScriptedExecutor({prompt: Vocabulary.ids("ok" * 5)}, n_batch=8)
    worker, shares = Worker(executor, 0), list[float]()

    def wait(ids: Sized, logits: object) -> None:
        """Choose no token before the caller was told of the last one."""
        wait_until(lambda: len(ids) / 50 in shares)

    one = request(prompt, max_tokens=10, logits_processors=wait)
    gather(worker, [one], shares.append)
    assert shares == sorted(set(shares))
    assert set(shares[:-11]) <= {i / 50 for i in (8, 16, 24, 32)}
    assert shares[-11:] == [i / 50 for i in range(40, 51)]

    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    one = request(prompt, max_tokens=900)
    with pytest.raises(KeyboardInterrupt):
        gather(worker, [one], interrupt)
    assert one.is_settled
    assert executor.n_open == 0


def test_the_first_error_ends_all_of_a_call() -> None:
    def refuse(ids: object, logits: object) -> None:
        raise KeyError("mine")

    executor = ScriptedExecutor({"go": [50] * 10**5}, n_batch=8)
    worker = Worker(executor, 0)
    endless = [request("go", n_ctx=10**6) for _ in range(3)]
    with pytest.raises(KeyError, match="mine"):
        gather(worker, [*endless, request("say", logits_processors=refuse)])
    assert all(one.is_settled and one.error is None for one in endless)
    assert executor.n_open == 0


@pytest.mark.parametrize("max_waiting", [None, 0])
def test_a_long_call_leaves_the_queue_to_others(max_waiting: int | None) -> None:
    executor = ScriptedExecutor({"go": [50] * 20}, n_batch=2)
    worker = Worker(executor, 0, max_waiting)
    queued: list[int] = []

    def look(share: float) -> None:
        load = worker.load()
        queued.append(load.n_active + load.n_waiting)

    requests = [request("go") for _ in range(40)]
    gather(worker, requests, look)
    assert max(queued) <= worker.n_in_flight == (4 if max_waiting is None else 2)
    more = [request("go") for _ in range(40)]
    asyncio.run(gather_async(worker, more))
    assert all(len(one.goal.output.tokens) == 20 for one in requests + more)


def test_an_interrupt_ends_requests_that_were_not_submitted() -> None:
    executor = ScriptedExecutor({"go": [50] * 10**5}, n_batch=2)
    requests = [request("go", n_ctx=10**6) for _ in range(40)]

    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gather(Worker(executor, 0), requests, interrupt)
    assert {one.stage.value for one in requests} == {"created", "settled"}
    assert executor.n_open == 0


def test_no_requests_are_no_work() -> None:
    executor = ScriptedExecutor({})
    gather(Worker(executor, 0), [])
    asyncio.run(gather_async(Worker(executor, 0), []))
    assert executor.passes == []


def test_a_request_that_is_made_too_late_is_withdrawn() -> None:
    begun, released = threading.Event(), threading.Event()
    one = request("say")

    def make() -> list[Request[Complete]]:
        begun.set()
        assert released.wait(10)
        return [one]

    async def cancel() -> None:
        task = asyncio.create_task(made_in_thread(make))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        released.set()
        while not one.is_withdrawn:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(cancel(), 10))
