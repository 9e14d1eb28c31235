"""A real trained model gives llama.cpp's results, at every level."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.kernels.levels import Level
from llamacy.model.executors import LoadedExecutor, load_executor
from llamacy.ops.batch import Batch

Golden = dict[str, NDArray[Any]]
N_GREEDY = 200


@pytest.fixture(scope="module")
def golden(shared: Path) -> Golden:
    with np.load(shared / "golden" / "stories260K.npz") as arrays:
        return dict(arrays)


def load(shared: Path, type_name: str, kv_type: str) -> LoadedExecutor:
    with open_gguf(shared / "models" / f"stories260K-{type_name}.gguf") as file:
        config = read_config(file)
        return load_executor(file, config, n_threads=2, kv_type=kv_type)


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    x = logits.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    logs: NDArray[np.float64] = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return logs


def kl_divergence(p: NDArray[np.float32], q: NDArray[np.float32]) -> float:
    """Return the mean over rows of the divergence of q's distribution from p's."""
    a, b = log_softmax(p), log_softmax(q)
    return float((np.exp(a) * (a - b)).sum(axis=-1).mean())


def greedy(executor: LoadedExecutor, prompt: list[int]) -> list[int]:
    sequence = executor.new_sequence()
    logits = executor.forward(Batch.of(prompt, sequence))
    tokens: list[int] = []
    for _ in range(N_GREEDY):
        tokens.append(int(logits[0].argmax()))
        logits = executor.forward(Batch.of(tokens[-1:], sequence))
    return tokens


@pytest.mark.usefixtures("selected_level")
class TestFloat32:
    def test_float32_logits_are_those_of_llama_cpp(
        self, shared: Path, golden: Golden
    ) -> None:
        executor = load(shared, "F32", "f32")
        ids = golden["ids"].tolist()
        logits = executor.forward(Batch.of(ids, executor.new_sequence(), "all"))
        np.testing.assert_allclose(logits, golden["logits_F32"], rtol=0, atol=1e-3)

    @pytest.mark.parametrize("kv_type", ["f32", "f16"])
    def test_float32_greedy_tokens_are_those_of_llama_cpp(
        self, shared: Path, golden: Golden, kv_type: str
    ) -> None:
        executor = load(shared, "F32", kv_type)
        tokens = greedy(executor, golden["prompt_ids"].tolist())
        assert tokens == golden["greedy_F32"].tolist()


class TestQ8_0:
    @pytest.mark.parametrize("kv_type", ["f32", "f16"])
    def test_q8_0_diverges_from_float32_no_more_than_in_llama_cpp(
        self,
        shared: Path,
        golden: Golden,
        selected_level: Level,
        kv_type: str,
    ) -> None:
        executor = load(shared, "Q8_0", kv_type)
        ids = golden["ids"].tolist()
        logits = executor.forward(Batch.of(ids, executor.new_sequence(), "all"))
        own = kl_divergence(golden["logits_F32"], golden["logits_Q8_0"])
        assert kl_divergence(golden["logits_F32"], logits) <= 1.05 * own

    def test_q8_0_greedy_tokens_are_those_of_llama_cpp(
        self,
        shared: Path,
        golden: Golden,
        selected_level: Level,
    ) -> None:
        executor = load(shared, "Q8_0", "f32")
        tokens = greedy(executor, golden["prompt_ids"].tolist())
        assert tokens == golden["greedy_Q8_0"].tolist()
