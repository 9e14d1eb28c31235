"""Ctrl-C at any line of the calls that wait for results."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llamacy.generation.each import Each
from llamacy.generation.gather import gather
from llamacy.generation.goals.embed import Embed
from llamacy.generation.jobs import Job, Jobs
from llamacy.generation.load import Load
from llamacy.generation.prompts import PROMPTS, Given
from llamacy.generation.request import Request
from llamacy.generation.streams import Stream
from llamacy.generation.worker import Worker
from llamacy.ops.batch import TextBatch
from tests.support.interrupts import Interrupt, needs_timers
from tests.support.scripted import ScriptedExecutor, Vocabulary, request
from tests.support.waiting import wait_until

_FILES = (
    "each.py",
    "gather.py",
    "jobs.py",
    "loop.py",
    "mailbox.py",
    "queue.py",
    "streams.py",
    "worker.py",
)


def gathers(worker: Worker) -> None:
    gather(worker, [request("go") for _ in range(4)])


def iterates(worker: Worker) -> None:
    def make(_: object, __: str) -> Job[None]:
        return Job([request("go")], lambda: None)

    jobs = Jobs(Given(iter(range(4)), PROMPTS), lambda: make)
    with Each(worker, jobs) as each:
        for _ in each:
            pass


def streams(worker: Worker) -> None:
    with Stream(worker, request("go")) as stream:
        for _ in stream:
            pass


def embeds(worker: Worker) -> None:
    goals = [Embed(TextBatch.of([[1, 2], [3]]), "mean") for _ in range(4)]
    gather(worker, [Request(goal) for goal in goals], n_in_flight=2)


def is_interrupted(call: Callable[[Worker], None], interrupt: Interrupt) -> bool:
    """Check that a worker is as before after a call; return if that was interrupted."""
    executor = ScriptedExecutor({"go": Vocabulary.ids("abc")}, n_batch=2)
    worker = Worker(executor, 0, max_waiting=0)
    was_raised = False
    try:
        with interrupt.raised():
            call(worker)
    except KeyboardInterrupt:
        was_raised = True
    try:
        wait_until(lambda: worker.load() == Load(0, 0, 0, 0))
        assert executor.n_open == 0
        after = request("go")
        gather(worker, [after])
        assert after.is_settled
    finally:
        worker.close()
    return was_raised


@needs_timers
@pytest.mark.parametrize("call", [gathers, iterates, streams, embeds])
def test_ctrl_c_at_any_line_loses_no_memory_and_no_place(
    call: Callable[[Worker], None],
) -> None:
    n_interrupted = at = 0
    is_after_end = False
    while not is_after_end:
        at += 1
        interrupt = Interrupt(at, _FILES)
        n_interrupted += is_interrupted(call, interrupt)
        is_after_end = interrupt.is_after_end
    assert n_interrupted > 30
