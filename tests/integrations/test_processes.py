"""A model crosses to the workers of libraries that distribute work."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from operator import methodcaller
from typing import Any

import pytest

import llamacy
from llamacy.model.model import Model

pytestmark = pytest.mark.integrations

PROMPTS = [f"The capital of {name} is" for name in ("France", "Italy", "Spain")]
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 4}
ANSWERS = [" Paris", " Rome", " Madrid"]


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with llamacy.load("demo", n_threads=1) as loaded:
        yield loaded


def text(model: Model, prompt: str) -> str:
    return str(model.generate(prompt, **GREEDY))


def test_processes_that_are_spawned_have_the_model(model: Model) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        calls = [methodcaller("generate", prompt, **GREEDY) for prompt in PROMPTS]
        tasks = [pool.apply_async(call, (model,)) for call in calls]
        assert [task.get(60).text for task in tasks] == ANSWERS
        failing = methodcaller("generate", "x " * 9999)
        with pytest.raises(llamacy.ContextLengthError) as caught:
            pool.apply(failing, (model,))
    assert caught.value.n_ctx == model.n_ctx


def test_joblib_sends_a_model_to_its_workers(model: Model) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is absent")
    call = joblib.delayed(text)
    found = joblib.Parallel(n_jobs=2)(call(model, prompt) for prompt in PROMPTS)
    assert found == ANSWERS


def test_dask_sends_a_model_to_its_workers(model: Model) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is absent")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        with distributed.Client(cluster) as client:
            sent = client.scatter(model, broadcast=True)
            calls = [client.submit(text, sent, prompt) for prompt in PROMPTS]
            assert client.gather(calls) == ANSWERS
            with pytest.raises(llamacy.ContextLengthError):
                client.submit(text, sent, "x " * 9999).result()
