"""Timings: passes and seconds of prefill and decode, and the wait before them."""

from __future__ import annotations

import pytest

from llamacy.generation.stopwatch import Stopwatch
from tests.support.scripted import ScriptedExecutor, Vocabulary, complete, request


def test_passes_and_seconds_are_counted_by_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr("llamacy.generation.stopwatch.perf_counter", lambda: now)
    watch = Stopwatch()
    now = 101.0
    watch.submit()
    watch.spend(103.0, 104.0, is_decode=False)
    now = 106.0
    watch.choose(1, is_decode=False)
    watch.spend(104.0, 106.0, is_decode=False)
    now = 107.0
    watch.choose(4, is_decode=True)
    watch.spend(106.0, 107.0, is_decode=True)
    timings = watch.timings(n_read=20)
    assert (timings.n_prompt, timings.prompt_seconds) == (20, 3.0)
    assert (timings.n_generated, timings.generation_seconds) == (3, 1.0)
    assert (timings.n_prompt_passes, timings.n_generation_passes) == (2, 1)
    assert timings.n_passes == 3
    assert timings.time_to_first_token == 6.0
    assert timings.waited_seconds == 2.0
    assert "0 s of them waiting; 3 passes" in str(timings)


def test_a_request_without_a_pass_has_no_times() -> None:
    executor = ScriptedExecutor({})
    (done,) = complete(executor, request("say", max_tokens=0))
    timings = done.timings
    assert (timings.n_passes, timings.waited_seconds) == (0, 0.0)
    assert (timings.prompt_seconds, timings.time_to_first_token) == (0.0, 0.0)


def test_there_is_no_throughput_before_the_time_of_a_pass_is_known() -> None:
    watch = Stopwatch()
    watch.choose(1, is_decode=False)
    watch.choose(2, is_decode=True)
    timings = watch.timings(n_read=20)
    assert (timings.n_prompt, timings.n_generated) == (20, 1)
    assert timings.prompt_tokens_per_second == 0.0
    assert timings.generation_tokens_per_second == 0.0


def test_a_shared_pass_is_charged_to_each_request() -> None:
    script = {"one": Vocabulary.ids("abc"), "two": Vocabulary.ids("xyz")}
    executor = ScriptedExecutor(script)
    one, two = complete(executor, request("one"), request("two"))
    assert len(executor.passes) == 4
    assert one.timings.n_passes == two.timings.n_passes == 4
    assert one.timings.prompt_seconds == two.timings.prompt_seconds > 0


def test_a_long_prompt_takes_several_passes() -> None:
    executor = ScriptedExecutor({"x" * 21: Vocabulary.ids("ok")}, n_batch=8)
    (done,) = complete(executor, request("x" * 21))
    assert done.timings.n_prompt_passes == 3
    assert done.timings.n_generation_passes == 2
    assert done.timings.n_passes == len(executor.passes)
