"""The thread that runs requests: its queue, its ends, forks."""

from __future__ import annotations

import gc
import os
import threading

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import BusyError, ClosedError, ForkedError
from llamacy.generation.completions import completion
from llamacy.generation.events import Done, Event
from llamacy.generation.gather import gather
from llamacy.generation.goals.complete import Complete
from llamacy.generation.load import Load
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.request import AnyRequest, Request
from llamacy.generation.stages import Stage
from llamacy.generation.streams import Stream
from llamacy.generation.worker import Worker
from llamacy.ops.batch import Batch, GoOn
from tests.support.scripted import ScriptedExecutor, Vocabulary, request
from tests.support.waiting import wait_until

LONG = "abcdefghij" * 50


@pytest.fixture
def executor() -> ScriptedExecutor:
    return ScriptedExecutor(
        {"say": Vocabulary.ids("hello"), "go": Vocabulary.ids(LONG)}
    )


def test_closing_the_worker_ends_what_runs(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 4)
    stream = Stream(worker, request("go"))
    next(stream)
    worker.close()
    with pytest.raises(ClosedError, match="closed"):
        list(stream)
    with pytest.raises(ClosedError):
        gather(worker, [request("say")])
    with pytest.raises(ClosedError):
        Stream(worker, request("say"))
    assert executor.n_open == 0


def test_a_worker_is_up_until_it_is_closed(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 4)
    assert worker.is_up
    gather(worker, [request("say")])
    assert worker.is_up
    worker.close()
    assert not worker.is_up


def test_a_forgotten_worker_ends_its_thread(executor: ScriptedExecutor) -> None:
    before = set(threading.enumerate())
    worker = Worker(executor, 4)
    gather(worker, [request("say")])
    (thread,) = set(threading.enumerate()) - before
    del worker
    gc.collect()
    assert not thread.is_alive()


def test_a_logits_processor_cannot_wait_for_itself(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 0)

    def ask(ids: object, logits: object) -> None:
        gather(worker, [request("say")])

    with pytest.raises(BusyError, match="logits processor"):
        gather(worker, [request("say", logits_processors=ask)])

    def close(ids: object, logits: object) -> None:
        worker.close()

    with pytest.raises(ClosedError):
        gather(worker, [request("go", logits_processors=close)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_after_a_fork_parent_and_child_go_on(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 4)
    stream = Stream(worker, request("go"))
    next(stream)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            one = request("say")
            gather(worker, [one])
            assert completion(one).text == "hello"
            with pytest.raises(ForkedError):
                list(stream)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert "a" + "".join(piece.text for piece in stream) == LONG


class Gate(ScriptedExecutor):
    """Waits in each pass until it is opened."""

    def __init__(self, n_batch: int = 2) -> None:
        super().__init__({"go": Vocabulary.ids("abc")}, n_batch=n_batch)
        self.entered, self.opened = threading.Event(), threading.Event()

    def forward(
        self,
        batch: Batch,
        logits: NDArray[np.float32] | None = None,
        go_on: GoOn | None = None,
    ) -> NDArray[np.float32]:
        self.entered.set()
        assert self.opened.wait(10)
        return super().forward(batch, logits, go_on)


def submitted(worker: Worker, n: int) -> list[Request[Complete]]:
    requests = [request("go") for _ in range(n)]
    worker.submit(requests, ThreadMailbox())
    return requests


def test_the_load_counts_active_and_waiting_requests_and_pages() -> None:
    executor = Gate()
    worker = Worker(executor, 0)
    assert worker.load() == Load(0, 0, 0, 0)
    requests = submitted(worker, 5)
    assert executor.entered.wait(10)
    assert worker.load() == Load(2, 3, 0, 0)
    executor.opened.set()
    wait_until(lambda: all(one.is_settled for one in requests))
    wait_until(lambda: worker.load() == Load(0, 0, 0, 0))


@pytest.mark.parametrize("max_waiting", [0, 3])
def test_a_full_queue_refuses_a_call_and_runs_nothing_of_it(max_waiting: int) -> None:
    executor = Gate()
    worker = Worker(executor, 0, max_waiting)
    requests = submitted(worker, 2)
    assert executor.entered.wait(10)
    for _ in range(max_waiting):
        requests += submitted(worker, 1)
    refused = [request("go"), request("go")]
    message = f"at most {max_waiting} requests waiting, found {max_waiting}"
    with pytest.raises(BusyError, match=message):
        worker.submit(refused, ThreadMailbox())
    assert {one.stage for one in refused} == {Stage.CREATED}
    executor.opened.set()
    wait_until(lambda: all(one.is_settled for one in requests))
    assert [completion(one).text for one in requests] == ["abc"] * len(requests)
    wait_until(lambda: worker.load().n_active == 0)
    gather(worker, refused)
    assert completion(refused[0]).text == "abc"


def test_a_call_of_many_prompts_may_fill_the_queue_over_its_bound() -> None:
    executor = Gate()
    executor.opened.set()
    worker = Worker(executor, 0, max_waiting=1)
    requests = submitted(worker, 20)
    wait_until(lambda: all(one.is_settled for one in requests))


def test_requests_that_left_the_queue_make_room_in_it() -> None:
    executor = Gate()
    worker = Worker(executor, 0, max_waiting=1)
    running, waiting = submitted(worker, 2), submitted(worker, 1)
    assert executor.entered.wait(10)
    with pytest.raises(BusyError):
        submitted(worker, 1)
    waiting[0].withdraw()
    executor.opened.set()
    wait_until(lambda: waiting[0].is_settled)
    wait_until(lambda: all(one.is_settled for one in running))
    submitted(worker, 1)


class LateMailbox(ThreadMailbox[AnyRequest]):
    """Holds the worker's thread up once it has posted an end."""

    def __init__(self) -> None:
        super().__init__()
        self.ended, self.opened = threading.Event(), threading.Event()

    def post(self, sender: AnyRequest, event: Event) -> None:
        super().post(sender, event)
        if isinstance(event, Done):
            self.ended.set()
            assert self.opened.wait(10)


def test_a_caller_whose_request_has_ended_can_submit_the_next_one_at_once() -> None:
    executor = ScriptedExecutor({"go": Vocabulary.ids("abc")}, n_batch=1)
    worker, mailbox = Worker(executor, 0, max_waiting=0), LateMailbox()
    worker.submit([request("go")], mailbox)
    assert mailbox.ended.wait(10)
    try:
        (following,) = submitted(worker, 1)
    finally:
        mailbox.opened.set()
    wait_until(lambda: following.is_settled)


def test_a_parked_stream_takes_no_place_in_the_queue() -> None:
    executor = ScriptedExecutor({"go": Vocabulary.ids(LONG)}, n_batch=1)
    worker = Worker(executor, 0, max_waiting=0)
    with Stream(worker, request("go")):
        wait_until(lambda: worker.load().n_active == 0)
        assert worker.load().n_pages_used == 1
        one = request("go", max_tokens=2)
        gather(worker, [one])
        assert completion(one).text == LONG[:2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_an_empty_queue(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 0, max_waiting=0)
    stream = Stream(worker, request("go"))
    next(stream)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert (worker.load().n_active, worker.load().n_waiting) == (0, 0)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    stream.close()
