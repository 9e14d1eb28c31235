"""Rows to results: all of them, each by itself, in whatever company."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.jobs import answering
from llamacy.jobs.answering import answers
from llamacy.jobs.columns import ColumnTask
from llamacy.jobs.ordering import N_ROWS, order, windows
from llamacy.jobs.requests import RequestTask
from llamacy.jobs.rows import Row
from llamacy.jobs.tasks import Task
from llamacy.model.mixed_calls import each_call
from llamacy.model.model import Model
from tests.support import random_model
from tests.support.jobs import SUMS, line_of, results_of, rows_of, sum_body
from tests.support.levels import rows_alone

SAMPLED: dict[str, Any] = {"temperature": 1.5, "top_k": 0, "max_tokens": 6}
TASK = ColumnTask(prompt="{a} and {b}", raw=True, seed=3, options=SAMPLED)
ROWS = rows_of([{"a": a, "b": b} for a, b in SUMS])


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with rows_alone(), llamacy.load("demo", n_threads=1) as loaded:
        yield loaded


def test_a_result_depends_on_its_row_alone(model: Model) -> None:
    wanted = results_of(model, TASK, ROWS)
    assert len({result["answer"] for result in wanted}) > len(ROWS) / 2
    assert results_of(model, TASK, ROWS[5:], n_window=1) == wanted[5:]
    backwards = results_of(model, pickle.loads(pickle.dumps(TASK)), ROWS[::-1], 3)
    assert backwards[::-1] == wanted
    other = ColumnTask(prompt=TASK.prompt, raw=True, seed=4, options=SAMPLED)
    assert results_of(model, other, ROWS) != wanted


def test_seeds_of_requests_follow_from_their_rows_unless_they_have_one(
    model: Model,
) -> None:
    body = {"prompt": "Once", **SAMPLED}
    url = "/v1/completions"
    lines = [line_of(str(i), body, url) for i in range(4)]
    lines += [line_of(str(i), {**body, "seed": 7}, url) for i in range(2)]
    rows = rows_of(lines)
    found = results_of(model, RequestTask(), rows)
    assert found == results_of(model, RequestTask(), rows, n_window=2)
    texts = [each["response"]["body"]["choices"][0]["text"] for each in found]
    assert len({*texts[:4]}) > 1
    assert texts[4] == texts[5]


@pytest.mark.parametrize("task", [TASK, RequestTask()])
def test_bad_rows_have_errors_and_the_others_go_on(model: Model, task: Task) -> None:
    is_column = isinstance(task, ColumnTask)
    good = b'{"a": 1, "b": 2}' if is_column else line_of("x", sum_body(1, 2))
    bad: list[Any] = [b"{", b"[1]", b"\xff", b"[" * 100_000, b'{"a": 1e999}', {}]
    bad += [b'{"a": 1, "b": null}', b'{"a": "\\ud800", "b": 1}']
    bad += [b'{"a": 1, "b": "' + b"long " * 100_000 + b'"}', b'{"a": ' + b"9" * 9999]
    rows = rows_of([*bad, good])
    *failed, last = results_of(model, task, rows, n_window=4)
    assert not task.tally(last).has_failed
    for result in failed:
        assert task.tally(result).has_failed
        error = result["error"]
        assert error["message"] if isinstance(error, dict) else error


def test_rows_are_taken_as_others_end(model: Model) -> None:
    taken = 0

    def endless() -> Iterator[list[Row]]:
        nonlocal taken
        while True:
            yield [Row.of(taken, {"a": taken, "b": 1})]
            taken += 1

    each = answers(model, TASK, endless())
    found = [next(each)[0].index for _ in range(40)]
    each.close()
    assert sorted(found)[:20] == list(range(20))
    assert taken <= 40 + model.engine.worker.n_in_flight
    assert model.engine.load().n_active == 0


def test_cancelled_rows_have_no_results(model: Model) -> None:
    cancel = threading.Event()
    n_found = 0
    for _ in answers(model, TASK, [ROWS] * 50, cancel=cancel):
        n_found += 1
        if n_found == 10:
            cancel.set()
    assert n_found == 10


def test_an_interrupt_ends_the_rows_that_are_under_way(model: Model) -> None:
    def interrupted() -> Iterator[list[Row]]:
        yield ROWS
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(answers(model, TASK, interrupted()))
    assert model.engine.load().n_active == 0


def test_a_task_that_no_row_can_do_is_refused(model: Model, encoder: Any) -> None:
    task = ColumnTask(prompt="{a}", options={"logit_bias": {10**6: 1.0}})
    with pytest.raises(llamacy.ArgumentError, match="logit_bias"):
        next(answers(model, task, [ROWS]))
    with llamacy.load(encoder) as embeds:
        with pytest.raises(llamacy.UnsupportedCallError, match="writes texts"):
            next(answers(embeds, TASK, [ROWS]))


def test_a_base_model_continues_and_others_answer(model: Model, tmp_path: Path) -> None:
    task = ColumnTask(prompt="What is {a} + {b}?", options={"temperature": 0})
    assert results_of(model, task, ROWS[:2])[0]["answer"] == "42"
    random_model.write(str(tmp_path / "base.gguf"), chat_template="")
    with llamacy.load(tmp_path / "base.gguf") as base:
        assert task.fitted(base).raw
        wanted = ColumnTask(prompt="{a}", system="Hi")
        with pytest.raises(llamacy.ChatTemplateError):
            wanted.fitted(base)


def test_a_row_without_memory_beside_others_is_tried_alone(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = results_of(model, TASK, ROWS)
    n_calls = 0

    def crowded(model: Model, calls: Any, cancel: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        no_room = llamacy.OutOfMemoryError("no room for the KV cache")
        if n_calls == 1:
            calls = (no_room if i in (2, 5) else one for i, one in enumerate(calls))
        elif n_calls == 2:
            calls = [no_room]
        return each_call(model, calls, cancel)

    monkeypatch.setattr(answering, "each_call", crowded)
    found = results_of(model, TASK, ROWS)
    assert n_calls == 3
    failed = [index for index, one in enumerate(found) if one["error"]]
    assert len(failed) == 1
    assert found[failed[0]]["error"] == "no room for the KV cache"
    del found[failed[0]], wanted[failed[0]]
    assert found == wanted


def test_prompts_that_begin_alike_are_neighbours() -> None:
    book, other = "In the beginning " * 9, "Call me Ishmael. " * 9
    texts = [book + "who?", other + "who?", book + "what?", "Hi", other, book]
    found = order([f"Read this: {text}" for text in texts])
    assert sorted(found) == list(range(len(texts)))
    assert {frozenset(found[:3]), frozenset(found[3:5])} == {
        frozenset([0, 2, 5]),
        frozenset([1, 4]),
    }
    assert order([]) == []
    assert order(["b", "a longer one", "c" * 99]) == [2, 1, 0]


def test_windows_are_bounded_by_rows_and_bytes() -> None:
    small = [len(each) for each in windows(rows_of([b"x"] * (N_ROWS + 3)))]
    assert small == [N_ROWS, 3]
    large = [len(each) for each in windows(rows_of([b"x" * 3 * 2**20] * 7))]
    assert large == [3, 3, 1]
