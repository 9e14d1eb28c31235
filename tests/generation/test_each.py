"""Any number of prompts: taken lazily, yielded as their texts end, cleaned up."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

import pytest

import llamacy
from llamacy.generation.completions import completion
from llamacy.generation.each import Each
from llamacy.generation.gather import gather
from llamacy.generation.jobs import Job, Jobs
from llamacy.generation.prompts import PROMPTS, given_several
from llamacy.generation.worker import Worker
from llamacy.results import Completion, Finished
from tests.support.scripted import ScriptedExecutor, request
from tests.support.waiting import wait_until

ENDLESS = "x"


@pytest.fixture
def executor() -> ScriptedExecutor:
    """Of prompts of one letter, "a" leads to one token, "b" to two, "y" to 2,000."""
    script = {letter: [50] * n for n, letter in enumerate("abcdefgh", start=1)}
    script |= {"y": [50] * 2000, ENDLESS: [50] * 10**6}
    return ScriptedExecutor(script, n_batch=2)


@pytest.fixture
def worker(executor: ScriptedExecutor) -> Iterator[Worker]:
    worker = Worker(executor, 0)
    yield worker
    worker.close()
    assert executor.n_open == 0


def each(
    worker: Worker, prompts: Iterable[Any], on_error: str = "raise", **options: Any
) -> Each[Completion]:
    """Complete prompts; one that is not a text fails."""

    def make(prompt: Any, name: str) -> Job[Completion]:
        if not isinstance(prompt, str):
            raise llamacy.ArgumentError(f"{name}: wanted a text, found {prompt!r}")
        one = request(prompt, n_ctx=10**7, cancel=options.get("cancel"))
        return Job([one], lambda: completion(one))

    jobs = Jobs(given_several(prompts, PROMPTS), lambda: make, on_error)
    return Each(worker, jobs, **options)


def lengths(results: Iterable[Finished[Completion]]) -> list[tuple[int, int]]:
    return [(index, len(result.tokens)) for index, result in results]


def test_texts_come_in_the_order_of_their_ends(worker: Worker) -> None:
    assert lengths(each(worker, ["y", "a"])) == [(1, 1), (0, 2000)]
    assert lengths(each(worker, [])) == []


def test_a_million_prompts_are_taken_as_texts_end(worker: Worker) -> None:
    taken: list[int] = []

    def prompts() -> Iterator[str]:
        for number in count():
            taken.append(number)
            yield "abc"[number % 3]

    results = each(worker, prompts())
    assert taken == []
    found = [index for _, (index, _) in zip(range(50), results, strict=False)]
    assert len(set(found)) == 50
    assert 50 <= len(taken) <= 50 + worker.n_in_flight == 54
    results.close()
    assert list(results) == []


def test_a_result_does_not_wait_for_later_prompts(worker: Worker) -> None:
    """As it is when prompts come one by one from a network."""

    def prompts() -> Iterator[str]:
        yield "a"
        gather(worker, [request("y", n_ctx=3000)])  # which takes longer
        yield "b"
        pytest.fail("a result was there, and one more prompt was asked for")

    with each(worker, prompts()) as results:
        assert next(results).index == 0


def test_a_failed_prompt_stands_in_its_place(worker: Worker) -> None:
    results = list(each(worker, ["b", 5, "a", None], on_error="return"))
    assert sorted(result.index for result in results) == [0, 1, 2, 3]
    errors: dict[int, Any] = {
        index: result
        for index, result in results
        if isinstance(result, llamacy.LlamacyError)
    }
    assert {index: str(error) for index, error in errors.items()} == {
        1: "prompts[1]: wanted a text, found 5",
        3: "prompts[3]: wanted a text, found None",
    }
    assert [error.index for error in errors.values()] == [1, 3]


def test_an_error_ends_the_others(worker: Worker) -> None:
    results = each(worker, ["a", ENDLESS, 5])
    with pytest.raises(llamacy.ArgumentError, match=r"^prompts\[2\]: wanted") as info:
        list(results)
    assert info.value.index == 2
    assert worker.load().n_active == 0
    assert list(results) == []


class OfCaller(Exception):
    """An error of the caller's own code."""


def test_an_error_of_the_iterable_ends_the_texts(worker: Worker) -> None:
    def prompts() -> Iterator[str]:
        yield ENDLESS
        raise OfCaller

    with pytest.raises(OfCaller):
        next(each(worker, prompts(), on_error="return"))
    assert worker.load().n_active == 0


@pytest.mark.parametrize("error", [OfCaller, KeyboardInterrupt])
def test_an_error_of_progress_ends_the_texts(
    worker: Worker, error: type[BaseException]
) -> None:
    def fail(share: float) -> None:
        raise error

    results = each(worker, [ENDLESS], progress=fail)
    with pytest.raises(error):
        next(results)
    assert worker.load().n_active == 0
    assert list(results) == []


def test_leaving_the_block_or_the_last_reference_ends_the_texts(
    worker: Worker, executor: ScriptedExecutor
) -> None:
    with each(worker, ["y", ENDLESS]) as results:
        next(results)
        assert worker.load().n_active == 1
    assert executor.n_open == 0
    for _ in each(worker, ["y", ENDLESS]):
        break
    gc.collect()
    wait_until(lambda: executor.n_open == 0)


def test_another_thread_may_close_it(worker: Worker) -> None:
    results = each(worker, [ENDLESS] * 9)

    def close() -> None:
        wait_until(lambda: worker.load().n_active > 0)
        results.close()

    closing = threading.Thread(target=close)
    closing.start()
    assert list(results) == []
    closing.join()


def test_a_second_thread_is_refused_and_does_no_harm(worker: Worker) -> None:
    inside, leave = threading.Event(), threading.Event()

    def prompts() -> Iterator[str]:
        inside.set()
        assert leave.wait(10)
        yield "a"

    results, found = each(worker, prompts()), list[int]()
    first = threading.Thread(target=lambda: found.extend(one.index for one in results))
    first.start()
    assert inside.wait(10)
    with pytest.raises(llamacy.BusyError, match="another thread"):
        next(results)
    leave.set()
    first.join()
    assert found == [0]


def test_a_cancelled_call_takes_no_more_prompts(worker: Worker) -> None:
    cancel, taken = threading.Event(), list[int]()

    def prompts() -> Iterator[str]:
        for number in count():
            taken.append(number)
            yield ENDLESS if number else "y"

    results = each(worker, prompts(), cancel=cancel)
    assert next(results).index == 0
    cancel.set()
    rest = list(results)
    assert [0, *sorted(one.index for one in rest)] == taken
    assert {one.result.finish_reason for one in rest} == {"cancelled"}


def test_a_closed_worker_ends_it_whatever_errors_become(
    executor: ScriptedExecutor,
) -> None:
    worker = Worker(executor, 0)
    results = each(worker, ["y", ENDLESS, ENDLESS], on_error="return")
    next(results)
    worker.close()
    with pytest.raises(llamacy.ClosedError) as info:
        list(results)
    assert info.value.index is None
    with pytest.raises(llamacy.ClosedError):
        list(each(worker, ["a"], on_error="return"))


def test_a_full_queue_refuses_it_at_its_beginning(executor: ScriptedExecutor) -> None:
    worker = Worker(executor, 0, max_waiting=1)
    assert len(list(each(worker, ["a", "b"] * 10))) == 20
    others = each(worker, [ENDLESS] * 3)
    waiting = each(worker, [ENDLESS])
    taking = threading.Thread(target=next, args=[others, None])
    taking.start()
    wait_until(lambda: worker.load().n_active == 2)
    assert worker.load().n_waiting == 0  # a bounded queue is left to other calls
    queued = threading.Thread(target=next, args=[waiting, None])
    queued.start()
    wait_until(lambda: worker.load().n_waiting == 1)
    with pytest.raises(llamacy.BusyError):
        next(each(worker, ["a"], on_error="return"))
    for one in (others, waiting):
        one.close()
    for thread in (taking, queued):
        thread.join()
    worker.close()


def test_progress_is_the_share_of_prompts_whose_number_is_known(
    worker: Worker,
) -> None:
    shares: list[float] = []
    list(each(worker, ["a", 5, "b", "c"], on_error="return", progress=shares.append))
    assert shares == sorted(set(shares))
    assert {0.25, 1.0} <= set(shares)
    shares.clear()
    list(each(worker, iter("abc"), progress=shares.append))
    assert shares == [1.0]
    with pytest.raises(llamacy.ArgumentError, match="^progress: wanted"):
        each(worker, ["a"], progress=5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_cannot_go_on(worker: Worker) -> None:
    results = each(worker, ["y", ENDLESS, ENDLESS], on_error="return")
    next(results)
    child = os.fork()
    if child == 0:
        try:
            list(results)
        except llamacy.ForkedError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    results.close()
