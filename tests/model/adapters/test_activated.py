"""Adapters that act from their invocation on (aLoRA)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.adapters import read_adapters
from llamacy.model.executors import LoadedExecutor
from llamacy.model.joining import low_ranks
from llamacy.model.model import Model
from llamacy.ops.batch import Batch
from tests.support.adapted import executor_of
from tests.support.lora_files import Pairs, write_lora, write_peft

Floats = NDArray[np.float32]

INVOCATION = [7, 9]
BEFORE, AFTER = [3, 14, 7, 9, 15, 26, 5, 35], [*INVOCATION, 8, 11]
LONG = [3 + i % 3 for i in range(80)]  # long enough for the prefix cache
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 6}


@pytest.fixture(scope="module")
def activated(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> Path:
    path = tmp_path_factory.mktemp("lora") / "activated.gguf"
    keys = {"adapter.alora.invocation_tokens": INVOCATION}
    return write_lora(path, pairs, alpha=12.0, keys=keys)


@pytest.fixture
def fresh(base: Path, activated: Path) -> Iterator[Callable[..., list[int]]]:
    """Generate with a model that has read nothing else, nor keeps what it reads."""
    with llamacy.load(base, n_threads=1, lora=activated, prompt_cache=0) as model:
        yield lambda ids: model.generate(ids, **GREEDY).tokens


def low_ranks_of(path: Path, lora: Path, executor: LoadedExecutor) -> Any:
    with open_gguf(path) as file:
        adapters = read_adapters(lora, read_config(file))
    return low_ranks(adapters, executor.shapes, executor.weight_rows)


def last_rows(path: Path, lora: Path, ids: list[int], start: int) -> Floats:
    """Compute logits from `start` on with an adapter, after rows without it."""
    executor = executor_of(path, "plan")
    sequence = executor.new_sequence()
    executor.forward(Batch.of(ids[:start], sequence, "none"))
    executor.set_adapters(low_ranks_of(path, lora, executor))
    return executor.forward(Batch.of(ids[start:], sequence, "all"))


@pytest.mark.parametrize("form", ["gguf", "peft"])
@pytest.mark.usefixtures("selected_level")
def test_rows_are_adapted_from_the_last_invocation_on(
    base: Path, activated: Path, pairs: Pairs, tmp_path: Path, form: str
) -> None:
    ids = [*BEFORE, *AFTER]
    lora = activated
    if form == "peft":
        settings: dict[str, Any] = {"alora_invocation_tokens": INVOCATION}
        settings |= {"r": 5, "lora_alpha": 12}
        lora = write_peft(tmp_path / "peft", pairs, (4, 2), **settings)
    with llamacy.load(base, n_threads=1, kv_type="f32") as model:
        plain = model.logits(ids)
        model.set_adapters(lora)
        found = model.logits(ids)
        n = len(BEFORE)
        np.testing.assert_array_equal(found[:n], plain[:n])
        np.testing.assert_array_equal(found[n:], last_rows(base, lora, ids, n))
        assert np.abs(found[n:] - plain[n:]).max() > 0.02 * np.abs(plain).max()
        without = [*BEFORE[:3], 5, *BEFORE[4:]]
        unadapted = model.logits(without)
        model.set_adapters(None)
        np.testing.assert_array_equal(model.logits(without), unadapted)
    reference = executor_of(base, "reference")
    reference.set_adapters(low_ranks_of(base, lora, reference), is_activated=True)
    sequence = reference.new_sequence()
    sequence.adapted_from = n
    wanted = reference.forward(Batch.of(ids, sequence, "all"))
    assert np.abs(found - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_texts_share_rows_up_to_where_only_one_is_adapted(
    model: Model, activated: Path, fresh: Callable[..., list[int]]
) -> None:
    def generate(ids: list[int]) -> tuple[list[int], int]:
        result = model.generate(ids, **GREEDY)
        return result.tokens, result.usage.cached_tokens

    text, _ = generate(LONG)
    model.set_adapters(activated)
    assert generate(LONG) == (text, len(LONG) - 1)  # read without the adapter
    once = [*LONG, *INVOCATION, 4]
    assert generate(once) == (fresh(once), len(LONG))
    assert generate(once) == (fresh(once), len(once) - 1)
    longer = [*once, 5, 6]
    assert generate(longer) == (fresh(longer), len(once))
    twice = [*longer, *INVOCATION, 4]
    assert generate(twice) == (fresh(twice), len(LONG))
    model.set_adapters(None)
    assert generate(twice)[1] == len(longer)


def test_texts_read_together_are_adapted_each_from_its_own_invocation(
    base: Path, activated: Path, fresh: Callable[..., list[int]]
) -> None:
    prompts = [
        LONG,
        [*LONG, *AFTER],
        AFTER,
        BEFORE,
        [*LONG[:50], *INVOCATION, *LONG[:40]],
    ]
    with llamacy.load(base, n_threads=1, lora=activated) as model:
        found = [one.tokens for one in model.generate(prompts, **GREEDY)]
    assert found == [fresh(ids) for ids in prompts]


def test_sessions_read_rows_again_that_another_invocation_changes(
    model: Model, activated: Path, tmp_path: Path, fresh: Callable[..., list[int]]
) -> None:
    with model.session() as session:
        session.feed(LONG)
        model.set_adapters(activated)
        first = session.generate(AFTER, **GREEDY)
        assert (first.tokens, first.usage.cached_tokens) == (
            fresh([*LONG, *AFTER]),
            len(LONG),
        )
        session.save(tmp_path / "session")
        text = [*LONG, *AFTER, *first.tokens, *AFTER]
        again = session.generate(AFTER, **GREEDY)
        assert (again.tokens, again.usage.cached_tokens) == (fresh(text), len(LONG))
    # a session's file has the rows that are alike with and without the adapter
    with model.load_session(tmp_path / "session") as session:
        assert session.generate(AFTER, **GREEDY).tokens == again.tokens
    model.set_adapters(None)
    with model.load_session(tmp_path / "session") as session:
        plain = session.generate(AFTER, **GREEDY)
    assert plain.tokens == model.generate(text, **GREEDY).tokens


@pytest.mark.parametrize(
    ("tokens", "why"),
    [
        ([50], "wanted token ids from 0 to 49, found 50"),
        ("5", "wanted 1 to 4096 token ids, found 5"),
        (["a"], "wanted 1 to 4096 token ids, found an array of 1"),
    ],
)
def test_invocations_that_cannot_be_are_refused(
    model: Model, pairs: Pairs, tmp_path: Path, tokens: Any, why: str
) -> None:
    keys = {"adapter.alora.invocation_tokens": tokens}
    path = write_lora(tmp_path / "bad.gguf", pairs, keys=keys)
    with pytest.raises(llamacy.FormatError, match=why):
        model.set_adapters(path)


def test_an_adapter_that_tokens_invoke_is_used_alone(
    model: Model, activated: Path, lora: Path
) -> None:
    with pytest.raises(llamacy.FormatError, match="one adapter alone.*one of 2"):
        model.set_adapters([activated, lora])


def test_an_encoder_has_no_texts_to_invoke_an_adapter_in(
    base: Path, activated: Path
) -> None:
    with open_gguf(base) as file:
        config = replace(read_config(file), is_causal=False)
    with pytest.raises(llamacy.FormatError, match="none for an encoder.*found 2"):
        read_adapters(activated, config)
