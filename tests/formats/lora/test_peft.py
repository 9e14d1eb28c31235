"""PEFT's folders for models whose layers differ: rows go by their layer's heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llamacy.config import ModelConfig, RopeConfig
from llamacy.errors import FormatError
from llamacy.formats.lora.peft import read_peft_adapter
from tests.support.lora_files import write_peft

HEADS = ((4, 2), (2, 1))  # of queries and keys, by layer


@pytest.fixture
def config() -> ModelConfig:
    alike = ModelConfig(
        architecture="llama",
        name="",
        n_layer=2,
        n_embd=32,
        n_head=4,
        n_head_kv=2,
        head_dim=16,
        n_ff=64,
        n_vocab=50,
        n_ctx_train=64,
        norm_eps=1e-5,
        rope=RopeConfig(n_dims=16),
    )
    first, second = alike.layers
    n_head, n_head_kv = HEADS[1]
    mixer = replace(second.attention, n_head=n_head, n_head_kv=n_head_kv, head_dim=8)
    return replace(alike, layers=(first, replace(second, mixer=mixer)))


@pytest.mark.parametrize("layer", [0, 1])
def test_rows_go_by_the_heads_of_their_layer(
    tmp_path: Path, config: ModelConfig, layer: int
) -> None:
    rng = np.random.default_rng(0)
    head_dim = config.layers[layer].attention.head_dim
    pairs = {
        f"blk.{layer}.{part}.weight": (
            rng.standard_normal((4, 32), dtype=np.float32),
            rng.standard_normal((n_head * head_dim, 4), dtype=np.float32),
        )
        for part, n_head in zip(("attn_q", "attn_k"), HEADS[layer], strict=True)
    }
    read = read_peft_adapter(write_peft(tmp_path / "a", pairs, HEADS[layer]), config)
    for name, (a, b) in pairs.items():
        np.testing.assert_array_equal(read.pairs[name].a, a)
        np.testing.assert_array_equal(read.pairs[name].b, b)
    other = {name.replace(f"{layer}", f"{1 - layer}"): x for name, x in pairs.items()}
    with pytest.raises(FormatError, match="rows, like the model's matrix"):
        read_peft_adapter(write_peft(tmp_path / "b", other, HEADS[layer]), config)


def test_a_layer_that_the_model_does_not_have(
    tmp_path: Path, config: ModelConfig
) -> None:
    a, b = np.ones((4, 32), np.float32), np.ones((64, 4), np.float32)
    folder = write_peft(tmp_path / "a", {"blk.2.attn_q.weight": (a, b)}, HEADS[0])
    with pytest.raises(FormatError, match="wanted a layer below 2, found 2"):
        read_peft_adapter(folder, config)
