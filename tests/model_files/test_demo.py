"""The bundled model: real trained weights, so that tests can look at quality.

Its answers and its perplexity must hold at every level, with every type of KV cache,
and in every type of weights that llamacy writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_model import evaluate
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import LoadedExecutor, load_executor
from llamacy.model_files.sources import locate
from llamacy.ops.batch import Batch

N_TASKS = 3  # instructions of each kind
STORIES = evaluate.stories(12, seed=77)
TASKS = [
    task
    for kind in (*evaluate.KINDS, evaluate.COMPLETING)
    for task in evaluate.tasks(kind, N_TASKS, seed=77)
]
# Largest relative increase of the perplexity over F16's. The stories' world is so small
# for this network that even two bits per weight do little harm.
MARGINS = {
    "F32": 0.0005,
    "F16": 0.0005,
    "BF16": 0.0005,
    "Q8_0": 0.001,
    "Q6_K": 0.002,
    "Q5_1": 0.003,
    "Q5_0": 0.003,
    "Q5_K_M": 0.003,
    "Q5_K_S": 0.003,
    "Q4_1": 0.004,
    "Q4_0": 0.004,
    "Q4_K_M": 0.004,
    "Q4_K_S": 0.004,
    "Q3_K_L": 0.006,
    "Q3_K_M": 0.006,
    "Q3_K_S": 0.006,
    "Q2_K": 0.015,
}


def share_right(model: llamacy.Model) -> float:
    found = evaluate.answers(model, [prompt for prompt, _ in TASKS])
    pairs = zip(TASKS, found, strict=True)
    n_right: int = sum(text == wanted for (_, wanted), text in pairs)
    return n_right / len(TASKS)


@pytest.fixture(scope="session")
def demo() -> Iterator[llamacy.Model]:
    with llamacy.load("demo") as model:
        yield model


@pytest.fixture(scope="session")
def true_perplexity(demo: llamacy.Model) -> float:
    """The perplexity by the reference executor, in float32."""
    with open_gguf(locate("demo")) as file:
        executor = load_executor(file, read_config(file), executor="reference")
    losses = [_losses(executor, demo.tokenize(text)) for text in STORIES]
    return math.exp(float(np.concatenate(losses).mean()))


def _losses(executor: LoadedExecutor, ids: list[int]) -> NDArray[np.float64]:
    batch = Batch.of(ids[:-1], executor.new_sequence(), "all")
    x = executor.forward(batch).astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    losses: NDArray[np.float64] = np.log(np.exp(x).sum(axis=1))
    losses -= x[np.arange(len(ids) - 1), ids[1:]]
    return losses


class TestFile:
    def test_the_demo_model_is_small(self) -> None:
        assert locate("demo").stat().st_size <= 4_000_000

    def test_the_demo_model_says_that_it_is_a_toy(self, demo: llamacy.Model) -> None:
        assert "toy" in demo.metadata["general.description"]

    def test_a_file_called_demo_does_not_replace_the_demo_model(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "demo").write_bytes(b"not a model")
        with llamacy.load("demo"):
            pass
        with pytest.raises(llamacy.FormatError):
            llamacy.load("./demo")


def assert_holds(true_perplexity: float, **options: Any) -> None:
    """Check its perplexity of stories, and its answers to instructions."""
    with llamacy.load("demo", **options) as model:
        found = evaluate.perplexity(model, STORIES)
        assert found == pytest.approx(true_perplexity, rel=0.003)
        assert share_right(model) >= 0.9


@pytest.mark.usefixtures("selected_level")
def test_perplexity_and_answers_hold_at_every_level(true_perplexity: float) -> None:
    assert_holds(true_perplexity)


@pytest.mark.parametrize("kv_type", ["f32", "q8_0"])
def test_perplexity_and_answers_hold_with_every_cache(
    kv_type: str, true_perplexity: float
) -> None:
    assert_holds(true_perplexity, kv_type=kv_type)


@pytest.fixture(scope="session")
def f16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "F16.gguf"
    llamacy.quantize(locate("demo"), path, "F16")
    return path


@pytest.fixture(scope="session")
def f16_perplexity(f16: Path) -> float:
    with llamacy.load(f16) as model:
        found: float = evaluate.perplexity(model, STORIES)
    return found


@pytest.mark.parametrize("type_name", MARGINS)
def test_quantising_to_every_type_keeps_the_perplexity(
    f16: Path, f16_perplexity: float, type_name: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{type_name}.gguf"
    llamacy.quantize(f16, path, type_name)
    with llamacy.load(path) as model:
        found = evaluate.perplexity(model, STORIES)
        assert found == pytest.approx(f16_perplexity, rel=MARGINS[type_name])
        if MARGINS[type_name] > 0.003:  # up to four bits
            assert share_right(model) >= 0.9
