"""Running a pass: whose logits go where, what is logged, what an error ends."""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Hashable

import pytest

from llamacy.generation import scheduler as scheduling
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.generation.scheduler import Scheduler
from tests.support.scripted import ScriptedExecutor, Vocabulary, add, request

PROMPT = "x" * 40


@pytest.fixture
def scheduler() -> Scheduler:
    script = {
        PROMPT: Vocabulary.ids("abc"),
        "one": Vocabulary.ids("1st"),
        "two": Vocabulary.ids("2nd"),
    }
    return Scheduler(ScriptedExecutor(script, n_batch=64), PrefixCache(100))


def run(scheduler: Scheduler) -> None:
    while not scheduler.is_idle:
        scheduler.step()


def test_each_request_gets_the_logits_of_its_own_rows(scheduler: Scheduler) -> None:
    one, two, scored = request("one"), request("two"), request("two", prompt_logprobs=0)
    add(scheduler, one, scored, two)
    run(scheduler)
    texts = [each.goal.output.text for each in (one, two, scored)]
    assert texts == ["1st", "2nd", "2nd"]
    assert scored.goal.prompt_logprobs is not None
    assert len(scored.goal.prompt_logprobs) == 3


def test_costs_tell_texts_apart_whose_objects_have_the_same_place(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ended request leaves its place in memory, and so its `id`, to another."""
    noted: list[object] = []
    note = scheduler.costs.note

    def keep(texts: Hashable, n_texts: int, n_rows: int, seconds: float) -> None:
        noted.append(texts)
        note(texts, n_texts, n_rows, seconds)

    monkeypatch.setattr(scheduler.costs, "note", keep)
    for _ in range(10):
        one = request("one")
        add(scheduler, one)
        run(scheduler)
        del one
        gc.collect()
    assert len(set(noted)) == 10


def test_a_pass_logs_one_line_at_debug(
    scheduler: Scheduler, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "llamacy")
    add(scheduler, request(PROMPT, max_tokens=1))
    run(scheduler)
    add(scheduler, request(PROMPT, max_tokens=1), request("one", max_tokens=2))
    run(scheduler)
    lines = [re.sub(r"\d+\.\d{3} s", "# s", line) for line in caplog.messages]
    assert lines == [
        "pass: 40 rows of 1 texts, 40 of them prefill; 0 tokens cached, "
        "0 requests waiting, waited # s, took # s",
        "pass: 4 rows of 2 texts, 4 of them prefill; 39 tokens cached, "
        "0 requests waiting, waited # s, took # s",
        "pass: 1 rows of 1 texts, 0 of them prefill; 0 tokens cached, "
        "0 requests waiting, waited # s, took # s",
    ]


def test_the_log_says_how_many_requests_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "llamacy")
    scheduler = Scheduler(ScriptedExecutor({}, n_batch=2), PrefixCache(0))
    add(scheduler, *(request("one") for _ in range(5)))
    scheduler.step()
    assert "3 requests waiting" in caplog.messages[0]


def test_nothing_is_logged_or_counted_above_debug(
    scheduler: Scheduler,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llamacy.generation.passes._log", None)
    caplog.set_level(logging.INFO, "llamacy")
    add(scheduler, request("one"))
    run(scheduler)
    assert not caplog.messages


class TestPassesWithoutTheScheduler:
    """Of texts that just grow, one after the other."""

    @pytest.fixture
    def executor(self, monkeypatch: pytest.MonkeyPatch) -> ScriptedExecutor:
        monkeypatch.setattr(scheduling, "MOST_SECONDS", 10)
        script = {"one": Vocabulary.ids("1" * 50), "two": Vocabulary.ids("2" * 50)}
        executor = ScriptedExecutor(script, n_batch=64)
        executor.most_passes = 1000
        return executor

    def step(self, scheduler: Scheduler, is_awaited: bool = False) -> None:
        scheduler.step(is_awaited=lambda: is_awaited)

    def test_lead_to_the_ends_of_all_texts(self, executor: ScriptedExecutor) -> None:
        scheduler = Scheduler(executor, PrefixCache(0))
        one, two = request("one"), request("two", max_tokens=20)
        add(scheduler, one, two)
        for _ in range(3):  # both read, both grow, one grows
            self.step(scheduler)
        assert one.is_settled and two.is_settled
        assert one.goal.output.text == "1" * 50
        assert two.goal.output.text == "2" * 20
        assert executor.passes == [6] + [2] * 19 + [1] * 31
        assert one.timings.n_generation_passes == 50

    def test_end_where_something_is_awaited(self, executor: ScriptedExecutor) -> None:
        scheduler = Scheduler(executor, PrefixCache(0))
        one = request("one")
        add(scheduler, one)
        for n in range(1, 4):
            self.step(scheduler, is_awaited=True)
            assert one.goal.n_chosen == n

    def test_end_after_a_while(
        self, executor: ScriptedExecutor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scheduling, "MOST_SECONDS", 0)
        scheduler = Scheduler(executor, PrefixCache(0))
        one = request("one")
        add(scheduler, one)
        for n in range(1, 4):
            self.step(scheduler)
            assert one.goal.n_chosen == n

    def test_end_where_a_reader_is_behind(self, executor: ScriptedExecutor) -> None:
        scheduler = Scheduler(executor, PrefixCache(0))
        one = request("one")
        one.submit(ThreadMailbox(n_ahead=5))
        scheduler.add([one])
        for _ in range(3):
            self.step(scheduler)
        assert one.goal.n_chosen == 4  # and one event tells of the prompt

    def test_end_where_a_text_is_cancelled(self, executor: ScriptedExecutor) -> None:
        class AfterFive:
            n = 0

            def is_set(self) -> bool:
                self.n += 1
                return self.n > 5

        scheduler = Scheduler(executor, PrefixCache(0))
        one = request("one", cancel=AfterFive())
        add(scheduler, one)
        while not scheduler.is_idle:
            self.step(scheduler)
        assert one.goal.finish_reason == "cancelled"
        assert 0 < one.goal.n_chosen < 6

    def test_end_where_room_is_made(self, executor: ScriptedExecutor) -> None:
        scheduler = Scheduler(executor, PrefixCache(0))
        # all that stays but the last token was at the beginning, too
        one = request("one", n_ctx=9, make_room=lambda _: Vocabulary.ids("one1"))
        add(scheduler, one)
        for n_chosen in (1, 6, 7, 11):  # read, full, read again, full
            self.step(scheduler)
            assert one.goal.n_chosen == n_chosen
