"""Adapters of all matrices of every family equal weights that they are merged into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.architectures import ARCHITECTURES
from llamacy.architectures.other_tensors import as_in_file
from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.hyperparameters import read_hyperparameters
from tests.support.adapted import (
    TOLERANCES,
    executor_of,
    largest_difference,
    logits_of,
    merged,
)
from tests.support.lora_files import random_pairs, write_lora

RANK, ALPHA = 3, 6.0
MIXTURE = {
    "expert_count": 4,
    "expert_used_count": 4,  # which of two come first may turn on a last digit
    "expert_feed_forward_length": 32,
}
CONVOLUTIONS = {"attention__head_count_kv": [0, 2], "shortconv__l_cache": 3}
DELTA_RULE = {
    "full_attention_interval": 2,
    "ssm__conv_kernel": 4,
    "ssm__state_size": 8,
    "ssm__group_count": 2,
    "ssm__time_step_rank": 4,
    "ssm__inner_size": 32,
}
SELECTIVE_SCAN = {
    "ssm__conv_kernel": 4,
    "ssm__state_size": 8,
    "ssm__time_step_rank": 12,
    "ssm__inner_size": 48,
}
SCAN = {
    "ssm__conv_kernel": 4,
    "ssm__state_size": 8,
    "ssm__group_count": 2,
    "ssm__time_step_rank": 4,
    "ssm__inner_size": 64,
}
LATENT: dict[str, Any] = {
    "attention__q_lora_rank": 24,
    "attention__kv_lora_rank": 32,
    "attention__head_count_kv": 1,
    "attention__key_length": 40,
    "attention__value_length": 32,
    "attention__key_length_mla": 24,
    "attention__value_length_mla": 16,
    "rope__dimension_count": 8,
}
DEEPSEEK: dict[str, Any] = {
    **LATENT,
    **MIXTURE,
    "expert_shared_count": 1,
    "leading_dense_block_count": 1,
}
KIMI: dict[str, Any] = {
    **LATENT,
    "attention__head_count_kv": [0, 1],
    "ssm__conv_kernel": 4,
    "kda__head_dim": 16,
    "expert_shared_count": 1,
}
ENCODER = {"attention__head_count_kv": 4, "tokenizer.ggml.token_type_count": 2}
# Keys that a family's files need beside those of LLaMA's and of mixtures of experts.
KEYS: dict[str, dict[str, Any]] = {
    "bert": ENCODER,
    "jina-bert-v2": ENCODER,
    "jina-bert-v3": ENCODER,
    "modern-bert": {**ENCODER, "attention__sliding_window": 20},
    "nomic-bert": ENCODER,
    "nomic-bert-moe": {**ENCODER, "moe_every_n_layers": 2},
    "apertus": {
        "xielu.alpha_p": 0.4,
        "xielu.alpha_n": 0.1,
        "xielu.beta": 0.5,
        "xielu.eps": -1e-6,
    },
    "bailingmoe2": {"expert_shared_count": 1, "leading_dense_block_count": 1},
    "bailingmoe3": {**KIMI, "kda__gate_lower_bound": -5.0},
    "deepseek2": DEEPSEEK,
    "dots1": {"expert_shared_count": 1, "leading_dense_block_count": 1},
    "gemma4": {
        "block_count": 3,
        "attention__shared_kv_layers": 1,
        "embedding_length_per_layer_input": 16,
        "attention__sliding_window": 20,
        "attention__sliding_window_pattern": [True, False, True],
        **MIXTURE,
    },
    "glm4moe": {"expert_shared_count": 1, "leading_dense_block_count": 1},
    "falcon-h1": SCAN,
    "gpt2": {"attention__head_count_kv": 4},
    "granitehybrid": {"attention__head_count_kv": [0, 2], **SCAN},
    "granitemoe": {"expert_shared_feed_forward_length": 32, **MIXTURE},
    "granite_swa": {"expert_shared_feed_forward_length": 32, **MIXTURE},
    "jamba": {
        **SELECTIVE_SCAN,
        **MIXTURE,
        "attention__head_count_kv": [0, 2],
        "expert_used_count": [4, 0],
    },
    "kimi-linear": KIMI,
    "laguna": {"expert_shared_count": 1, "leading_dense_block_count": 1},
    "lfm2": CONVOLUTIONS,
    "lfm2moe": {**CONVOLUTIONS, "leading_dense_block_count": 1},
    "lfm3": CONVOLUTIONS,
    "mamba": {
        **SELECTIVE_SCAN,
        "attention__head_count": 0,
        "feed_forward_length": 0,
    },
    "mamba2": {**SCAN, "attention__head_count": 0, "feed_forward_length": 0},
    "mistral4": DEEPSEEK,
    "nemotron_h": {
        **SCAN,
        "block_count": 3,
        "attention__head_count_kv": [0, 2, 0],
        "feed_forward_length": [0, 0, 96],
    },
    "nemotron_h_moe": {
        **SCAN,
        **MIXTURE,
        "block_count": 3,
        "attention__head_count_kv": [0, 2, 0],
        "feed_forward_length": [0, 0, 32],
        "expert_shared_feed_forward_length": 48,
        "moe_latent_size": 16,
    },
    "qwen35": DELTA_RULE,
    "qwen35moe": {**DELTA_RULE, "expert_shared_feed_forward_length": 32},
    "qwen3next": {**DELTA_RULE, "expert_shared_feed_forward_length": 32},
    "qwen2moe": {"expert_shared_feed_forward_length": 64},
}
NOT_ADAPTED = (
    *("position_embd.weight", "per_layer_token_embd.weight", "_norm.weight"),
    *("shortconv.conv.weight", "ssm_conv1d.weight", ".ssm_a", "ssm_dt.bias"),
    *(".ssm_d", "ssm_conv1d.bias", ".ffn_norm"),
    *("cls.weight", "cls.output.weight"),
    *(f"ssm_conv1d_{part}.weight" for part in "qkv"),
)


@pytest.fixture
def write_model(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
) -> Callable[..., Path]:
    """Write a model of a family: (name, family, tensors)."""

    def write(name: str, family: str, tensors: dict[str, NDArray[np.float32]]) -> Path:
        keys = {"attention__layer_norm_epsilon": 1e-5}
        keys |= MIXTURE if ARCHITECTURES[family].is_mixture else {}
        keys |= KEYS.get(family, {})
        metadata = llama_metadata(family, **keys)
        return write_gguf(tmp_path / name, metadata, tensors)

    return write


@pytest.mark.parametrize("family", ARCHITECTURES)
def test_adapters_of_all_matrices_equal_merged_weights(
    write_model: Callable[..., Path],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
    tmp_path: Path,
    family: str,
) -> None:
    """On both executors; the file has all tensors that the family's files may have.

    But scales of experts, which llama.cpp does not multiply an adapter with.
    """
    with open_gguf(write_model("plain.gguf", family, {})) as file:
        architecture, config = read_hyperparameters(file)
    specs = as_in_file(architecture.tensors(config), {})
    tensors = random_tensors(
        (name, spec.shape)
        for name, spec in specs.items()
        if not spec.is_unused and not name.endswith("_exps.scale")
    )
    if family == "gemma4":  # whose training makes scores small, and no factor
        for name in tensors:
            tensors[name] *= 0.2 if name.endswith("attn_q_norm.weight") else 1
    sign = 1 if family == "bailingmoe3" else -1
    for name in tensors:  # steps decay what is kept
        if name.endswith(".ssm_a"):
            tensors[name] = sign * np.abs(tensors[name])
    base = write_model("base.gguf", family, tensors)
    matrices = {
        name: each.shape
        for name, each in tensors.items()
        if not name.endswith(NOT_ADAPTED)
    }
    pairs = random_pairs(matrices, RANK, 1)
    last = "ssm_out" if family in ("mamba", "mamba2") else "attn_output"
    output = ["output.weight"] if config.is_causal else []
    assert {"token_embd.weight", *output, f"blk.1.{last}.weight"} < set(pairs)
    whole = write_model("whole.gguf", family, merged(tensors, pairs, ALPHA / RANK))
    wanted = logits_of(executor_of(whole, "reference"))
    assert largest_difference(logits_of(executor_of(base, "reference")), wanted) > 0.05
    keys = {"general.architecture": family}
    lora = write_lora(tmp_path / "lora.gguf", pairs, alpha=ALPHA, keys=keys)
    for kind, most in TOLERANCES.items():
        found = logits_of(executor_of(base, kind, lora))
        assert largest_difference(found, wanted) < most
