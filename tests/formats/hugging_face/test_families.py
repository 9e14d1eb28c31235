"""Each family's settings in config.json become the metadata of its GGUF files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamacy.architectures import ARCHITECTURES
from llamacy.config import family_rules
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.config import Config, read_config
from llamacy.formats.hugging_face.families import BARE, FAMILIES
from llamacy.formats.json_text import JsonObject

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "max_position_embeddings": 128,
    "num_attention_heads": 4,
    "num_hidden_layers": 8,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": 100,
}
GELU = {"hidden_activation": "gelu_pytorch_tanh", "hidden_act": "gelu"}
FIRST = {"max_window_layers": 7}  # of the eight layers one has the window
SLIDING, FULL = "sliding_attention", "full_attention"


def read(name: str, **changes: Any) -> Config:
    values = SIZES | {"architectures": [f"{name}ForCausalLM"]} | changes
    return read_config(JsonObject(Path("config.json"), values), "name")


def keys(name: str, prefix: str, **changes: Any) -> dict[str, Any]:
    """Return the keys of the family `prefix`, without the prefix."""
    values = read(name, **changes).metadata.values
    return {
        key.removeprefix(f"{prefix}."): value
        for key, value in values.items()
        if key.startswith(f"{prefix}.")
    }


def test_every_class_belongs_to_a_known_family() -> None:
    found = set()
    for name, family in FAMILIES.items():
        ends = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
        of_encoders = ("Model", "ForSequenceClassification")
        is_causal = family_rules(family.architecture).is_causal and family.is_causal
        assert name.endswith(ends if is_causal else of_encoders)
        assert family.architecture in ARCHITECTURES
        ours = {(part, BARE.get(name)) for name, part in family.layer.items()}
        assert len(ours) == len(family.layer)
        outside = {*family.outside.values(), "output", "output_norm"}
        assert family.biased - {"cls", "cls.norm"} <= {*family.layer.values(), *outside}
        is_mixture = ARCHITECTURES[family.architecture].is_mixture
        assert is_mixture <= (family.mixture is not None)
        rows = family, family.dense, family.both_ways
        found |= {each.architecture for each in rows if each}
    assert found == set(ARCHITECTURES) - {"bailingmoe2"}  # transformers has no class


def test_gemma_2_settings_become_metadata() -> None:
    made = keys(
        *("Gemma2", "gemma2"),
        **GELU,
        sliding_window=32,
        attn_logit_softcapping=50.0,
        final_logit_softcapping=30.0,
        query_pre_attn_scalar=256,
        layer_types=[SLIDING, FULL] * 4,
    )
    assert made["attention.sliding_window"] == 32
    assert "attention.sliding_window_pattern" not in made
    assert made["attention.scale"] == 1 / 16
    caps = made["attn_logit_softcapping"], made["final_logit_softcapping"]
    assert caps == (50, 30)
    with pytest.raises(UnsupportedError, match="attn_logit_softcapping: wanted a num"):
        read("Gemma2", **GELU, attn_logit_softcapping=None)
    assert read("Gemma2", **GELU).is_tied
    assert not read("Gemma2", **GELU, tie_word_embeddings=False).is_tied
    with pytest.raises(UnsupportedError, match="wanted gelu_pytorch_tanh"):
        read("Gemma2", hidden_activation="gelu")
    read("Gemma2", hidden_act="gelu")  # another class's key


def test_gemma_3_settings_of_older_files_become_metadata() -> None:
    made = keys(
        *("Gemma3", "gemma3"),
        **GELU,
        sliding_window=32,
        sliding_window_pattern=6,
        rope_local_base_freq=10000.0,
        rope_scaling={"rope_type": "linear", "factor": 8.0},
    )
    assert made["rope.freq_base"] == 1e6
    assert "rope.freq_base_swa" not in made
    assert (made["rope.scaling.type"], made["rope.scaling.factor"]) == ("linear", 8)
    assert "attention.sliding_window_pattern" not in made
    with pytest.raises(UnsupportedError, match="attn_logit_softcapping"):
        read("Gemma3", **GELU, attn_logit_softcapping=50.0)


def test_gemma_3_settings_of_newer_files_become_metadata() -> None:
    rope = {
        FULL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 5e5},
        SLIDING: {"rope_type": "default", "rope_theta": 2e4},
    }
    kinds = [SLIDING] * 2 + [FULL] + [SLIDING] * 5
    made = keys(
        *("Gemma3", "gemma3"),
        **GELU,
        sliding_window=32,
        layer_types=kinds,
        rope_parameters=rope,
    )
    assert made["rope.freq_base"] == 5e5
    assert made["rope.freq_base_swa"] == 2e4
    pattern = made["attention.sliding_window_pattern"]
    assert pattern.tolist() == [kind == SLIDING for kind in kinds]
    rope[SLIDING]["rope_type"] = "linear"
    with pytest.raises(UnsupportedError, match=f"{SLIDING}.rope_type"):
        read("Gemma3", **GELU, rope_parameters=rope)


@pytest.mark.parametrize(
    ("name", "prefix", "usual"), [("Gemma3", "gemma3", 1e6), ("Olmo3", "olmo2", 5e5)]
)
def test_families_with_two_bases_read_one_object_for_each(
    name: str, prefix: str, usual: float, caplog: pytest.LogCaptureFixture
) -> None:
    """As transformers does: what stands beside the two objects is passed over."""
    linear = {"rope_type": "linear", "factor": 8.0}
    flat = linear | {"rope_theta": 5.0}
    made = keys(name, prefix, rope_parameters=flat)
    assert made["rope.freq_base"] == usual
    assert "rope.scaling.type" not in made
    assert "the keys outside them are passed over" in caplog.text
    made = keys(name, prefix, rope_scaling=linear, rope_theta=777.0)
    assert (made["rope.freq_base"], made["rope.scaling.factor"]) == (777, 8)
    assert made.get("rope.freq_base_swa") == (5e5 if name == "Olmo3" else None)
    both = {FULL: {"rope_type": "default", "rope_theta": 99.0}}
    made = keys(name, prefix, rope_scaling=linear, rope_parameters=both)
    assert (made["rope.freq_base"], made["rope.scaling.factor"]) == (99, 8)


def test_an_empty_rope_scaling_is_none_and_empty_parameters_are_the_default() -> None:
    linear = {"rope_type": "linear", "factor": 8.0}
    made = keys("Llama", "llama", rope_scaling={}, rope_parameters=linear)
    assert made["rope.scaling.factor"] == 8
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2}
    assert keys("GptOss", "gpt-oss", **experts)["rope.scaling.factor"] == 32
    assert keys("GptOss", "gpt-oss", **experts, rope_scaling={})[
        "rope.scaling.factor"
    ] == 32  # fmt: skip
    made = keys("GptOss", "gpt-oss", **experts, rope_parameters={})
    assert "rope.scaling.factor" not in made


EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48}
ON = {"use_sliding_window": True, "sliding_window": 32}
SHARED = {"shared_expert_intermediate_size": 80}


@pytest.mark.parametrize(
    ("name", "changes", "wanted"),
    [
        ("Qwen2", FIRST, [7]),
        ("Qwen3", FIRST, [7]),
        ("Qwen2", {}, []),  # usually from layer 28 on
        ("Qwen2", FIRST | {"layer_types": [FULL, SLIDING] * 4}, [1, 3, 5, 7]),
        ("Qwen2Moe", {"max_window_layers": 5}, [0, 2, 4]),
        ("Qwen3Moe", FIRST, range(8)),
        ("SmolLM3", {}, [3, 7]),
        ("SmolLM3", {"layer_types": [SLIDING] + [FULL] * 7}, [0]),
    ],
)
def test_a_window_that_is_switched_on_reaches_the_layers_of_its_class(
    name: str, changes: dict[str, Any], wanted: list[int]
) -> None:
    experts = EXPERTS | SHARED if "Moe" in name else {}
    made = keys(name, name.lower(), **experts, **ON, **changes)
    pattern = made.get("attention.sliding_window_pattern")
    assert (made.get("attention.sliding_window") == 32) == bool(wanted)
    assert np.flatnonzero([] if pattern is None else pattern).tolist() == list(wanted)


@pytest.mark.parametrize("name", ["Qwen2", "Qwen3", "SmolLM3", "Qwen2Moe"])
def test_a_window_that_reaches_no_layer_is_none(name: str) -> None:
    experts = EXPERTS | SHARED if "Moe" in name else {}
    for changes in (
        {"use_sliding_window": False, "max_window_layers": 0},
        {"sliding_window": None, "max_window_layers": 0},
        {"layer_types": [FULL] * 8, "max_window_layers": 0},
    ):
        made = keys(name, name.lower(), **experts, **ON | changes)
        assert not any("window" in key for key in made)


def test_windows_that_transformers_cannot_compute_are_refused() -> None:
    kinds = [FULL] * 7 + [SLIDING]
    for name, changes in (("Qwen2", {}), ("Qwen3", {}), ("Qwen2Moe", EXPERTS | SHARED)):
        with pytest.raises(UnsupportedError, match="use_sliding_window: wanted true"):
            read(name, layer_types=kinds, sliding_window=32, **changes)
    with pytest.raises(FormatError, match="sliding_window: wanted a number of tokens"):
        read("Qwen2", **ON | {"sliding_window": None}, layer_types=kinds)
    with pytest.raises(FormatError, match="sliding_window: wanted 1 to"):
        read("Qwen2", **ON | {"sliding_window": 0}, **FIRST)


def test_windows_of_olmo_become_metadata_from_version_3_on() -> None:
    made = keys("Olmo2", "olmo2")
    assert "attention.sliding_window" not in made
    kinds = ([SLIDING] * 3 + [FULL]) * 2
    made = keys("Olmo3", "olmo2", sliding_window=32, layer_types=kinds)
    assert made["attention.sliding_window"] == 32
    assert "attention.sliding_window_pattern" not in made


def test_phi_3_settings_become_metadata() -> None:
    factors = {"short_factor": [1, 1.5], "long_factor": [2.0, 4.0]}
    config = read(
        "Phi3",
        partial_rotary_factor=0.25,
        original_max_position_embeddings=32,
        rope_scaling={"type": "longrope", **factors},
        sliding_window=31,
    )
    made = config.metadata.values
    assert made["phi3.rope.dimension_count"] == 4
    assert made["phi3.rope.scaling.original_context_length"] == 32
    magnitude = np.sqrt(1 + np.log(4) / np.log(32))
    assert made["phi3.rope.scaling.attn_factor"] == np.float32(magnitude)
    assert made["phi3.attention.sliding_window"] == 31
    for length in ("short", "long"):
        got = config.rope_divisors[f"rope_factors_{length}.weight"]
        assert got.dtype == np.float32
        assert got.tolist() == factors[f"{length}_factor"]


def test_a_factor_of_longrope_stands_for_the_ratio_of_contexts() -> None:
    factors = dict.fromkeys(("short_factor", "long_factor"), [1.0] * 8)
    scaling = {"type": "longrope", "factor": 8.0, **factors}
    made = keys(
        "Phi3", "phi3", original_max_position_embeddings=32, rope_scaling=scaling
    )
    magnitude = np.sqrt(1 + np.log(8) / np.log(32))
    assert made["rope.scaling.attn_factor"] == np.float32(magnitude)


@pytest.mark.parametrize("factor", [[1.0], [1.0] * 9, ["1"] * 8, [0] * 8, [True] * 8])
def test_impossible_rope_factors_are_refused(factor: list[Any]) -> None:
    scaling = {"type": "su", "short_factor": factor, "long_factor": [1.0] * 8}
    with pytest.raises(FormatError, match="rope_scaling.short_factor: wanted 8 numb"):
        read("Phi3", rope_scaling=scaling)
    with pytest.raises(UnsupportedError, match="found su"):
        read("Qwen2", rope_scaling=scaling)


def test_smollm_3_settings_become_metadata() -> None:
    layers = [1, 1, 1, 0] * 2
    made = keys("SmolLM3", "smollm3", no_rope_layers=layers)
    assert made["rope.freq_base"] == 2e6
    with pytest.raises(UnsupportedError, match="a 0 for every layer number 4"):
        read("SmolLM3", no_rope_layers=[1] * 8)


def test_granite_settings_become_metadata() -> None:
    constants = {
        "embedding_multiplier": 12.0,
        "residual_multiplier": 0.25,
        "attention_multiplier": 0.125,
        "logits_scaling": 8,
    }
    made = keys("Granite", "granite", **constants)
    assert (made["embedding_scale"], made["residual_scale"]) == (12, 0.25)
    assert (made["attention.scale"], made["logit_scale"]) == (0.125, 8)
    with pytest.raises(FormatError, match="residual_multiplier"):
        read("Granite", **constants | {"residual_multiplier": 0})


def test_mixtral_settings_become_metadata() -> None:
    sizes = {"num_local_experts": 8, "num_experts_per_tok": 2}
    made = keys("Mixtral", "llama", **sizes, sliding_window=None)
    assert (made["expert_count"], made["expert_used_count"]) == (8, 2)
    assert (made["feed_forward_length"], made["rope.freq_base"]) == (96, 1e6)
    assert "attention.sliding_window" not in made
    assert not any(
        "expert_feed" in key or "norm" in key for key in made if "exp" in key
    )
    for missing in sizes:
        with pytest.raises(FormatError, match=f"{missing}: wanted a value"):
            read("Mixtral", **sizes | {missing: None})
    with pytest.raises(FormatError, match="num_experts_per_tok: wanted 1 to 8, found"):
        read("Mixtral", **sizes | {"num_experts_per_tok": 9})
    with pytest.raises(FormatError, match="num_local_experts: wanted 1 to 512"):
        read("Mixtral", **sizes | {"num_local_experts": 513})


@pytest.mark.parametrize(("name", "usual"), [("Qwen2Moe", False), ("Qwen3Moe", True)])
def test_qwen_moe_settings_become_metadata(name: str, usual: bool) -> None:
    shared = {"shared_expert_intermediate_size": 80}
    made = keys(name, name.lower(), **EXPERTS, **shared, norm_topk_prob=usual)
    assert (made["expert_count"], made["expert_used_count"]) == (8, 2)
    assert made["expert_feed_forward_length"] == 48
    has_shared = "expert_shared_feed_forward_length" in made
    assert has_shared == (name == "Qwen2Moe")
    assert "expert_weights_norm" not in made
    made = keys(name, name.lower(), **EXPERTS, **shared, norm_topk_prob=not usual)
    assert made["expert_weights_norm"] is (not usual)
    for key, value in (("decoder_sparse_step", 2), ("mlp_only_layers", [0])):
        with pytest.raises(UnsupportedError, match=f"{key}: wanted .* each layer"):
            read(name, **EXPERTS, **shared, **{key: value})


GLM4MOE = {
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 48,
    "n_shared_experts": 2,
    "routed_scaling_factor": 2.5,
    "n_group": 4,
    "topk_group": 2,
}
ERNIE = {"moe_num_experts": 8, "moe_k": 2, "moe_intermediate_size": 48}
COHERE2MOE = {
    "num_experts": 8,
    "prefix_dense_intermediate_size": 80,
    "sliding_window": 32,
    "expert_selection_fn": "sigmoid",
}


def test_routers_become_metadata() -> None:
    made = keys("Glm4Moe", "glm4moe", **GLM4MOE)
    assert (made["expert_count"], made["expert_shared_count"]) == (8, 2)
    assert (made["expert_group_count"], made["expert_group_used_count"]) == (4, 2)
    assert (made["expert_weights_scale"], made["leading_dense_block_count"]) == (2.5, 1)
    assert made["expert_weights_norm"] is True
    made = keys("Ernie4_5_Moe", "ernie4_5-moe", **ERNIE, moe_layer_start_index=3)
    assert (made["expert_used_count"], made["leading_dense_block_count"]) == (2, 3)
    made = keys("HunYuanMoEV1", "hunyuan-moe", num_experts=[4] * 8, moe_topk=[2] * 8)
    assert (made["expert_count"], made["expert_used_count"]) == (4, 2)


def test_experts_of_cohere_have_their_width_and_windows_after_dense_layers() -> None:
    made = keys("Cohere2Moe", "cohere2moe", **COHERE2MOE, first_k_dense_replace=1)
    assert (made["feed_forward_length"], made["expert_feed_forward_length"]) == (80, 96)
    pattern = [False, True, True, True, False, True, True, True]
    assert made["attention.sliding_window_pattern"].tolist() == pattern
    assert made["expert_gating_func"] == 2
    softmax = {"expert_selection_fn": "softmax", "norm_topk_prob": False}
    made = keys("Cohere2Moe", "cohere2moe", **COHERE2MOE | softmax)
    assert (made["expert_gating_func"], made["expert_weights_norm"]) == (1, True)


def test_a_window_of_dots_reaches_layers_from_a_number_on() -> None:
    made = keys("Dots1", "dots1", **GLM4MOE, sliding_window=32, max_window_layers=6)
    pattern = [False] * 6 + [True] * 2
    assert made["attention.sliding_window_pattern"].tolist() == pattern
    made = keys("Dots1", "dots1", **GLM4MOE, sliding_window=None, max_window_layers=6)
    assert "attention.sliding_window" not in made


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("Ernie4_5_Moe", {"moe_layer_end_index": 5}, "moe_layer_end_index: wanted -1"),
        ("Ernie4_5_Moe", {"moe_layer_interval": 2}, "moe_layer_interval: wanted 1"),
        ("Ernie4_5_Moe", {"moe_norm_min": 0.5}, "moe_norm_min: wanted at most 1e-06"),
        ("Ernie4_5_Moe", {"use_bias": True}, "use_bias"),
        (
            "Cohere2Moe",
            {"mlp_layer_types": ["sparse", "dense"] * 4},
            "mlp_layer_types: wanted dense layers, then sparse ones",
        ),
        (
            "Cohere2Moe",
            {
                "num_shared_experts": 1,
                "shared_expert_combination_strategy": "sum",
            },
            "shared_expert_combination_strategy: wanted average, found sum",
        ),
        ("Cohere2Moe", {"expert_selection_fn": "relu"}, "wanted softmax or sigmoid"),
        ("Cohere2Moe", {"prefix_dense_sliding_window_pattern": 2}, "prefix_dense"),
    ],
)
def test_unsupported_layers_of_experts_are_refused(
    name: str, changes: dict[str, Any], message: str
) -> None:
    usual: dict[str, Any] = ERNIE if name == "Ernie4_5_Moe" else COHERE2MOE
    with pytest.raises(UnsupportedError, match=message):
        read(name, **usual | changes)


YARN = {"rope_type": "yarn", "factor": 32.0, "truncate": False}
GPT_OSS = {
    "num_local_experts": 8,
    "num_experts_per_tok": 4,
    "sliding_window": 32,
    "rope_scaling": YARN,
    "swiglu_limit": 7.0,
    "quantization_config": {"quant_method": "mxfp4"},
}


def test_gpt_oss_settings_become_metadata() -> None:
    made = keys("GptOss", "gpt-oss", **GPT_OSS, layer_types=[SLIDING, FULL] * 4)
    assert made["expert_feed_forward_length"] == 96
    assert (made["attention.sliding_window"], made["rope.freq_base"]) == (32, 150000)
    assert "attention.sliding_window_pattern" not in made
    scaling = made["rope.scaling.type"], made["rope.scaling.factor"]
    assert scaling == ("yarn", 32)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"swiglu_limit": 6.0}, "swiglu_limit: wanted 7.0, found 6.0"),
        ({"swiglu_alpha": 1.0}, "swiglu_alpha"),
        ({"rope_scaling": YARN | {"truncate": True}}, "truncate: wanted False"),
        ({"quantization_config": {"quant_method": "fp8"}}, "or mxfp4, found fp8"),
    ],
)
def test_unsupported_settings_of_gpt_oss_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        read("GptOss", **GPT_OSS | changes)


def test_mxfp4_is_refused_outside_of_gpt_oss() -> None:
    with pytest.raises(UnsupportedError, match="wanted fp8, .*, found mxfp4"):
        read("Mixtral", **GPT_OSS | {"rope_scaling": None})


@pytest.mark.parametrize("name", ["Llama", "SmolLM3", "Granite", "Qwen2"])
def test_partial_rotation_is_passed_over_where_classes_do_not_read_it(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = keys(name, name.lower(), partial_rotary_factor=0.5)
    assert made["rope.dimension_count"] == 16
    assert "partial_rotary_factor passed over" in caplog.text
    scaling = {"type": "linear", "factor": 2.0}
    with pytest.raises(UnsupportedError, match="partial_rotary_factor"):
        read(name, partial_rotary_factor=0.5, rope_scaling=scaling)
