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


def generate(prompt: str) -> methodcaller:
    """A call that workers can import: they do not know this module."""
    return methodcaller("generate", prompt, **GREEDY)


def test_processes_that_are_spawned_have_the_model(model: Model) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        tasks = [pool.apply_async(generate(prompt), (model,)) for prompt in PROMPTS]
        assert [task.get(60).text for task in tasks] == ANSWERS
        with pytest.raises(llamacy.ContextLengthError) as caught:
            pool.apply(generate("x " * 9999), (model,))
    assert caught.value.n_ctx == model.n_ctx


def test_joblib_sends_a_model_to_its_workers(model: Model) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is absent")
    calls = [joblib.delayed(generate(prompt))(model) for prompt in PROMPTS]
    assert [done.text for done in joblib.Parallel(n_jobs=2)(calls)] == ANSWERS


def test_dask_sends_a_model_to_its_workers(model: Model) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask is absent")
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster:
        with distributed.Client(cluster) as client:
            sent = client.scatter(model, broadcast=True)
            calls = [client.submit(generate(prompt), sent) for prompt in PROMPTS]
            assert [done.text for done in client.gather(calls)] == ANSWERS
            with pytest.raises(llamacy.ContextLengthError):
                client.submit(generate("x " * 9999), sent).result()
