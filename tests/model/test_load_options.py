"""Options of load that say how passes are shared."""

from __future__ import annotations

from typing import Any

import pytest

import llamacy


@pytest.mark.parametrize("n_batch", [1, 7, 600])
def test_a_prompt_is_read_in_passes_of_n_batch_rows(n_batch: int) -> None:
    ids = [5 + i % 90 for i in range(50)]
    with llamacy.load("demo", n_threads=1, kv_type="f32") as model:
        wanted = model.generate(ids, max_tokens=4, temperature=0)
    options: Any = {"n_threads": 1, "kv_type": "f32", "n_batch": n_batch}
    with llamacy.load("demo", **options) as model:
        assert model.executor.n_batch == n_batch
        found = model.generate(ids, max_tokens=4, temperature=0)
    assert found.tokens == wanted.tokens
    assert found.timings.n_prompt_passes == -(-50 // n_batch)


@pytest.mark.parametrize("n_batch", [0, -1, 2**13 + 1, 1.5, "512", True, None])
def test_n_batch_is_a_number_of_rows(n_batch: Any) -> None:
    with pytest.raises(llamacy.ArgumentError, match="^n_batch: wanted an integer"):
        llamacy.load("demo", n_batch=n_batch)


@pytest.mark.parametrize("max_waiting", [-1, 1.5, "8", True])
def test_max_waiting_is_a_number_of_requests(max_waiting: Any) -> None:
    with pytest.raises(llamacy.ArgumentError, match="^max_waiting: wanted an integer"):
        llamacy.load("demo", max_waiting=max_waiting)


@pytest.mark.parametrize("max_active", [0, 513, 1.5, "8", True])
def test_max_active_is_a_number_of_rows(max_active: Any) -> None:
    with pytest.raises(llamacy.ArgumentError, match="^max_active: wanted an integer"):
        llamacy.load("demo", max_active=max_active)


def test_as_many_texts_as_max_active_says_run_together() -> None:
    def watch(tokens: Any, logits: Any) -> None:
        most.append(model.engine.load().n_active)

    prompts, options = ["Once upon"] * 40, {"max_tokens": 3, "temperature": 0.0}
    texts = set()
    for max_active, wanted in ((33, 33), (2, 2), (None, 16)):
        most: list[int] = []
        with llamacy.load("demo", n_threads=1, max_active=max_active) as model:
            done = model.generate(prompts, logits_processors=watch, **options)
        assert max(most) == wanted
        texts |= {one.text for one in done}
    assert len(texts) == 1


def test_the_load_counts_the_pages_of_past_texts() -> None:
    with llamacy.load("demo", n_threads=1) as model:
        assert model.engine.load().n_pages_used == 0
        model.generate([5] * 40, max_tokens=1)
        used = model.engine.load().n_pages_used
        assert used == model.executor.n_pages_used > 0
        with model.session() as session:
            session.feed([6] * 40)
        assert model.engine.load().n_pages_free > 0
