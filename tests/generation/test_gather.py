"""Waiting for whole results: progress, errors, interrupts."""

from __future__ import annotations

import asyncio
import threading

import pytest

from llamacy.generation.gather import gather, gather_async, made_in_thread
from llamacy.generation.goals.complete import Complete
from llamacy.generation.mailbox import Mailbox
from llamacy.generation.request import AnyRequest, Request
from llamacy.generation.worker import Worker
from tests.support.scripted import (
    ScriptedExecutor,
    Vocabulary,
    request,
)


def test_progress_is_told_of_reading_and_generating_and_may_end_it() -> None:
    prompt = "p" * 40
    executor = ScriptedExecutor({prompt: Vocabulary.ids("ok" * 5)}, n_batch=8)
    worker, shares = Worker(executor, 0), list[float]()
    gather(worker, [request(prompt, max_tokens=10)], shares.append)
    assert shares == sorted(set(shares))
    assert set(shares) <= {i / 50 for i in (8, 16, 24, 32, *range(40, 51))}
    assert any(0.8 < share < 1.0 for share in shares)
    assert shares[-1] == 1.0

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


def test_ctrl_c_while_requests_are_submitted_ends_those_that_were() -> None:
    class Interrupted(Request[Complete]):
        def submit(self, mailbox: Mailbox[AnyRequest]) -> None:
            raise KeyboardInterrupt

    executor = ScriptedExecutor({"go": Vocabulary.ids("abc")})
    worker, first = Worker(executor, 0), request("go")
    with pytest.raises(KeyboardInterrupt):
        gather(worker, [first, Interrupted(request("go").goal)])
    assert first.is_settled
    assert (worker.load().n_active, worker.load().n_waiting) == (0, 0)


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
