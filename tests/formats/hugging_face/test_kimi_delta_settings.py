"""config.json of Kimi Linear and Ling 3.0, and the keys of GGUF that it becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.config import read_config
from llamacy.formats.json_text import JsonObject
from tests.support.kimi_delta_folders import (
    HEAD_DIM,
    KDA,
    KIMI,
    LING,
    N_KERNEL,
    N_LATENT,
    N_PLAIN,
    N_ROTATED,
)


def keys_of(config: dict[str, Any]) -> dict[str, Any]:
    made = read_config(JsonObject(Path("config.json"), config), "model").metadata
    return {key.partition(".")[2]: value for key, value in made.values.items()}


def test_official_settings_are_the_keys_of_llama_cpp(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kimi, ling = keys_of(KIMI), keys_of(LING)
    for keys in (kimi, ling):
        assert list(keys["attention.head_count_kv"]) == [0, 1]
        assert keys["attention.key_length"] == N_LATENT + N_ROTATED
        assert keys["attention.key_length_mla"] == N_PLAIN + N_ROTATED
        assert keys["rope.dimension_count"] == N_ROTATED
        assert keys["kda.head_dim"] == HEAD_DIM
        assert keys["ssm.conv_kernel"] == N_KERNEL
        assert keys["leading_dense_block_count"] == 1
        assert keys["expert_gating_func"] == 2
        assert keys["context_length"] == 1024
    assert ling["kda.safe_gate"] is True
    assert ling["kda.gate_lower_bound"] == -5.0
    assert ling["attention.q_lora_rank"] == 8
    assert ling["expert_weights_norm"] is True
    assert not caplog.records


def test_layers_of_the_last_group_of_ling_attend_if_it_is_not_whole() -> None:
    """As in its makers' code; transformers, by itself, has the delta rule there."""
    changes = {"num_hidden_layers": 7, "layer_group_size": 3}
    keys = keys_of(LING | changes)
    assert list(keys["attention.head_count_kv"]) == [0, 0, 1, 0, 0, 1, 1]
    kinds = ["linear_attention"] * 5 + ["full_attention", "linear_attention"]
    keys = keys_of(LING | changes | {"layer_types": kinds})
    assert list(keys["attention.head_count_kv"]) == [0, 0, 0, 0, 0, 1, 0]


LISTS = KDA | {"full_attn_layers": [2], "kda_layers": [1]}


@pytest.mark.parametrize(
    ("config", "changes", "kind"),
    [
        (KIMI, {"mla_use_nope": False}, UnsupportedError),
        (KIMI, {"moe_router_activation_func": "softmax"}, UnsupportedError),
        (KIMI, {"moe_layer_freq": 2}, UnsupportedError),
        (KIMI, {"moe_layer_freq": "1"}, FormatError),
        (KIMI, {"use_grouped_topk": False, "num_expert_group": 2}, UnsupportedError),
        (KIMI, {"attention_bias": True}, UnsupportedError),
        (KIMI, {"layer_types": ["full_attention"] * 2}, UnsupportedError),
        (KIMI, {"layer_types": ["full_attention"]}, FormatError),
        (LING, {"expert_swiglu_limit_list": [0, -7.0]}, FormatError),
        (LING, {"expert_swiglu_limit_list": [0, "7"]}, FormatError),
        (LING, {"share_expert_swiglu_limit_list": [7]}, FormatError),
        (LING, {"no_kda_lora": False}, UnsupportedError),
        (LING, {"use_mla_nope": True}, UnsupportedError),
        (LING, {"gated_attention_proj_granularity_type": "x"}, UnsupportedError),
        (LING, {"score_function": "softmax"}, UnsupportedError),
        (LING, {"topk_method": "greedy"}, UnsupportedError),
        (LING, {"moe_shared_expert_intermediate_size": 32}, UnsupportedError),
        (LING, {"num_kv_heads_for_linear_attn": 1}, UnsupportedError),
        (LING, {"kda_lower_bound": 0}, FormatError),
        (LING, {"layer_group_size": 0}, FormatError),
    ],
)
def test_settings_that_are_wrong_or_of_unknown_meaning_are_refused(
    config: dict[str, Any], changes: dict[str, Any], kind: type[Exception]
) -> None:
    named = next(iter(changes))
    with pytest.raises(kind, match=named):
        keys_of(config | changes)


@pytest.mark.parametrize(
    ("changes", "named", "kind"),
    [
        ({"kda_layers": []}, "kda_layers", FormatError),
        ({"kda_layers": [1, 2]}, "kda_layers", FormatError),
        ({"kda_layers": [[1]]}, "kda_layers", FormatError),
        ({"num_heads": 1}, "linear_num_heads", UnsupportedError),
        ({"use_full_rank_gate": True}, "use_full_rank_gate", UnsupportedError),
        ({"short_conv_kernel_size": 1}, "short_conv_kernel_size", FormatError),
    ],
)
def test_sizes_of_the_delta_rule_are_checked(
    changes: dict[str, Any], named: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=named):
        keys_of(KIMI | {"linear_attn_config": LISTS | changes})


def test_scaled_rotations_of_ling_are_refused() -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "rope_theta": 6e6}
    with pytest.raises(UnsupportedError, match="rope_type"):
        keys_of(LING | {"rope_parameters": yarn})
