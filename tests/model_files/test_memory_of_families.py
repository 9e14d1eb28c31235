"""`inspect` foretells the memory of a loaded model of every family."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from random_models.shapes import SHAPES
from random_models.writing import write_tiny_model

import llamacy
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model_as
from llamacy.ops import memory
from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan

N_TOKENS, N_BATCH = 150, 64
MODELS = {
    **{name: (shape, "Q8_0", None) for name, shape in SHAPES.items()},
    "gemma4-e2b, quantised": (SHAPES["gemma4-e2b"], "F16", "Q4_0"),
    "gemma4-26b-a4b, quantised": (SHAPES["gemma4-26b-a4b"], "F16", "Q8_0"),
}


@pytest.mark.parametrize("name", MODELS)
def test_loading_and_reading_take_what_inspect_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape, type_name, quantize = MODELS[name]
    path = tmp_path / "tiny.gguf"
    write_tiny_model(shape, path, type_name)
    info = llamacy.inspect(path, quantize=quantize)
    buffers: list[int] = []
    real = memory.zeros

    def zeros(shape: tuple[int, ...], dtype: str) -> Any:
        array = real(shape, dtype)
        buffers.append(array.nbytes)
        return array

    monkeypatch.setattr("llamacy.ops.plan.buffers.zeros", zeros)
    with open_model_as(path, quantize) as file:
        _, config = read_hyperparameters(file)
        plan = load_executor(file, config)
    assert isinstance(plan, Plan)
    assert info.weights_bytes == plan.weight_bytes
    assert info.mapped_bytes == plan.mapped_bytes
    assert (info.mapped_bytes > 0) == (config.n_embd_per_layer > 0)
    assert info.buffer_bytes == sum(buffers)
    n_more = info.kv_bytes(N_TOKENS, n_batch=N_BATCH) - info.kv_bytes(1)
    assert n_more == kv_bytes(plan, N_TOKENS) - plan.page_bytes
    plan.close()


def kv_bytes(plan: Plan, n_tokens: int) -> int:
    """Read tokens, some in each pass; return the bytes of all pages that it took."""
    sequence = plan.new_sequence()
    for first in range(0, n_tokens, N_BATCH):
        ids = [300] * min(N_BATCH, n_tokens - first)
        plan.forward(Batch.of(ids, sequence, "none"))
    n_pages = plan.n_pages_used + plan.n_pages_free
    sequence.close()
    return n_pages * plan.page_bytes


def test_a_text_takes_no_more_once_it_is_longer_than_all_windows(
    tmp_path: Path,
) -> None:
    shape, path = SHAPES["llama-8b"], tmp_path / "tiny.gguf"
    keys = {**shape.keys, ".attention.sliding_window": 32}
    write_tiny_model(replace(shape, keys=keys), path)
    info = llamacy.inspect(path)
    assert info.window == 32
    with open_model_as(path, None) as file:
        plan = load_executor(file, read_hyperparameters(file)[1])
    assert isinstance(plan, Plan)
    for n_tokens in (500, 900, 1500):
        said = info.kv_bytes(n_tokens, n_batch=N_BATCH)
        assert 0.85 * said < kv_bytes(plan, n_tokens) <= said
    assert said == info.kv_bytes(10_000, n_batch=N_BATCH)
    plan.close()


def test_layers_that_read_the_keys_of_others_keep_none(tmp_path: Path) -> None:
    """Five of ten layers have keys of their own: one head each, four with a window."""
    path = tmp_path / "tiny.gguf"
    write_tiny_model(SHAPES["gemma4-e2b"], path)
    info = llamacy.inspect(path)
    widths = [64, 64, 64, 64, 128]
    n_bytes = 2 * 2 * sum(widths)  # of a token: keys and values, two bytes each
    assert info.kv_page_bytes["f16"] == n_bytes * info.page_tokens
    assert info.kv_bytes(64) == n_bytes * 64


def test_rows_that_stay_in_the_file_are_no_part_of_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    write_tiny_model(SHAPES["gemma4-e2b"], path)
    info = llamacy.inspect(path)
    n_rows, n_columns = info.n_vocab, 10 * 32  # of ten layers
    assert info.mapped_bytes == n_rows * n_columns // 32 * 34
    assert info.weights_bytes + info.mapped_bytes < 1.1 * info.file_bytes
    known = info.weights_bytes + info.buffer_bytes + info.kv_bytes(64)
    assert info.memory_bytes(64) - known < 70 * 2**20  # Python, and its libraries
