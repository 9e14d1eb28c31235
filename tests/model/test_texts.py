"""Many prompts in one call of a model, whole and one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, assert_type

import numpy as np
import pytest

import llamacy
from llamacy.model.model import Model

PROMPTS = ["The capital of France is", "They all lived happily", "2 + 2 ="]
TEXTS = [" Paris", " ever after.", " 4"]
GREEDY: Any = {"temperature": 0}


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with llamacy.load("demo", n_threads=1, n_ctx=64) as model:
        yield model


GIVEN: dict[str, Callable[[], Any]] = {
    "tuple": lambda: tuple(PROMPTS),
    "generator": lambda: (prompt for prompt in PROMPTS),
    "strings": lambda: np.array(PROMPTS),
    "objects": lambda: np.array(PROMPTS, object),
    "values": lambda: dict(enumerate(PROMPTS)).values(),
}


@pytest.mark.parametrize("form", GIVEN)
def test_any_iterable_is_continued_in_order(model: Model, form: str) -> None:
    texts = [one.text for one in model.generate(GIVEN[form](), **GREEDY)]
    assert texts == TEXTS
    found = asyncio.run(model.agenerate(GIVEN[form](), **GREEDY))
    assert [one.text for one in found] == TEXTS
    each = model.generate_each(GIVEN[form](), **GREEDY)
    assert [result.text for _, result in sorted(each)] == TEXTS
    assert len(model.score(GIVEN[form]())) == 3


def test_rows_of_ids_are_continued(model: Model) -> None:
    ids = model.tokenize(PROMPTS[0])
    two = model.generate(np.array([ids, ids]), **GREEDY)
    assert [one.text for one in two] == TEXTS[:1] * 2


def test_no_prompts_are_no_results(model: Model) -> None:
    none: Any = []
    shares: list[float] = []
    assert model.generate(none) == model.generate(none, n=3) == model.score(none) == []
    assert model.generate(iter([]), progress=shares.append) == []
    assert asyncio.run(model.agenerate(none)) == list(model.generate_each(none)) == []
    assert shares == [1.0]


def test_samples_and_errors_keep_their_places(model: Model) -> None:
    found = model.generate(["Once", [9] * 65, ""], n=2, max_tokens=3, on_error="return")
    assert_type(found, list[list[llamacy.Completion] | llamacy.LlamacyError])
    once, long, empty = found
    assert isinstance(long, llamacy.ContextLengthError)
    assert (long.index, long.n_tokens) == (1, 65)
    assert isinstance(once, list)
    assert isinstance(empty, list)  # the token that begins a text is one
    assert [len(once), len(empty)] == [2, 2]
    with pytest.raises(llamacy.ContextLengthError, match=r"^prompts\[1\]: 65 tokens"):
        asyncio.run(model.agenerate(["Once", [9] * 65], max_tokens=3))
    with pytest.raises(llamacy.ContextLengthError, match=r"^texts\[1\]: 65 tokens"):
        model.score(["Once", [9] * 65])
    scores = model.score(["Once", [9] * 65], on_error="return")
    assert [type(one) for one in scores] == [llamacy.Score, llamacy.ContextLengthError]


def test_types_of_results_follow_the_arguments(model: Model) -> None:
    options: Any = {"max_tokens": 1}
    assert_type(model.generate("a", max_tokens=1), llamacy.Completion)
    assert_type(model.generate([5], n=2, max_tokens=1), list[llamacy.Completion])
    assert_type(model.generate(["a"], max_tokens=1), list[llamacy.Completion])
    assert_type(
        model.generate(["a"], n=2, max_tokens=1), list[list[llamacy.Completion]]
    )
    assert_type(
        model.generate("a", on_error="return", max_tokens=1),
        llamacy.Completion | llamacy.LlamacyError,
    )
    results = model.generate(["a", ""], on_error="return", max_tokens=1)
    assert_type(results, list[llamacy.Completion | llamacy.LlamacyError])
    for _, result in model.generate_each(["a"], max_tokens=1):
        assert_type(result, llamacy.Completion)
    for one in model.generate_each(iter(["a"]), on_error="return", max_tokens=1):
        assert_type(one, llamacy.Finished[llamacy.Completion | llamacy.LlamacyError])
    assert len(model.generate("a", n=3, **options)) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "^n: wanted"),
        ({"cancel": 5}, "^cancel: wanted"),
        ({"progress": 5}, "^progress: wanted"),
        ({"on_error": "skip"}, "^on_error: wanted one of raise, return"),
        ({"temperature": -1}, "^temperature"),
    ],
)
def test_a_bad_option_is_no_prompts_error(
    model: Model, options: Any, message: str
) -> None:
    call: Any = model.generate
    with pytest.raises(llamacy.ArgumentError, match=message) as info:
        call(PROMPTS, **{"on_error": "return", **options})
    assert info.value.index is None
    if "n" not in options:
        each: Any = model.generate_each
        with pytest.raises(llamacy.ArgumentError, match=message):
            each(PROMPTS, **{"on_error": "return", **options})


def test_a_prompt_is_not_taken_for_many(model: Model) -> None:
    one: Any
    for one in ("text", [5, 6], np.array([5, 6])):
        with pytest.raises(llamacy.ArgumentError, match="^prompts: wanted an iterable"):
            model.generate_each(one)


def test_progress_of_a_batch_grows_to_one(model: Model) -> None:
    shares: list[float] = []
    model.generate(PROMPTS, progress=shares.append, max_tokens=4, **GREEDY)
    assert shares == sorted(set(shares))
    assert len(shares) >= 3
    assert shares[-1] == 1.0
    shares.clear()
    model.score(PROMPTS, progress=shares.append)
    assert shares == sorted(set(shares))
    assert shares[-1] == 1.0


def test_many_calls_of_threads_and_tasks_share_the_model(model: Model) -> None:
    def take(number: int) -> list[str]:
        prompts = (PROMPTS[i % 3] for i in range(20 + number))
        with model.generate_each(prompts, **GREEDY) as each:
            return [text.text for _, text in sorted(each)]

    with ThreadPoolExecutor(3) as pool:
        for number, found in enumerate(pool.map(take, range(3))):
            assert found == [TEXTS[i % 3] for i in range(20 + number)]


def test_cancelling_a_task_ends_its_batch(model: Model) -> None:
    async def cancel() -> None:
        task = asyncio.create_task(
            model.agenerate(["Once"] * 40, logit_bias={2: -1e9}, max_tokens=60)
        )
        while not model.engine.load().n_active:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while model.engine.load().n_active:
            await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(cancel(), 20))


def test_a_closed_model_ends_results_that_are_still_to_come() -> None:
    with llamacy.load("demo", n_threads=1) as model:
        each = model.generate_each(PROMPTS * 30, on_error="return", **GREEDY)
        next(each)
    with pytest.raises(llamacy.ClosedError):
        list(each)
    with pytest.raises(llamacy.ClosedError):
        model.generate_each(PROMPTS)
