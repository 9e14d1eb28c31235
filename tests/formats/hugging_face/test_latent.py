"""DeepSeek's settings and its matrix of keys and values, as GGUF has them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from llamacy.config import LatentAttentionConfig
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.config import read_config
from llamacy.formats.hugging_face.latent import split_heads
from llamacy.formats.json_text import JsonObject
from llamacy.formats.lora import Pair
from llamacy.formats.lora.peft_heads import split_pair
from llamacy.formats.metadata import Metadata
from llamacy.ggml.types import GGMLType

PATH = Path("model")
N_HEAD, N_K, N_V, N_LATENT = 2, 3, 4, 5
SIZES = {
    "num_attention_heads": N_HEAD,
    "qk_nope_head_dim": N_K,
    "v_head_dim": N_V,
    "kv_lora_rank": N_LATENT,
    "qk_rope_head_dim": 2,
}
MIXER = LatentAttentionConfig(
    N_HEAD, 1, N_LATENT + 2, N_LATENT, 1.0, plain_dim=N_K, out_dim=N_V
)


def metadata(name: str, **values: Any) -> Metadata:
    found = {"architectures": [f"{name}ForCausalLM"], **SIZES, **values}
    return read_config(JsonObject(PATH, found), "model").metadata


def matrix(n_rows: int) -> Any:
    values = np.arange(n_rows * N_LATENT, dtype=np.float32).reshape(n_rows, N_LATENT)
    return SimpleNamespace(
        name="blk.0.attn_kv_b.weight",
        type=GGMLType.F32,
        shape=values.shape,
        data=values.view(np.uint8).reshape(-1),
        dequantize=lambda: values,
    )


def test_rows_are_taken_apart_by_heads() -> None:
    whole = matrix(N_HEAD * (N_K + N_V))
    keys, values = split_heads(whole, metadata("Youtu"), PATH)
    rows = whole.dequantize().reshape(N_HEAD, N_K + N_V, N_LATENT)
    names = keys.name, values.name
    assert names == ("blk.0.attn_k_b.weight", "blk.0.attn_v_b.weight")
    np.testing.assert_array_equal(keys.dequantize(), rows[:, :N_K].swapaxes(1, 2))
    np.testing.assert_array_equal(values.dequantize(), rows[:, N_K:])


def test_another_number_of_rows_is_refused() -> None:
    with pytest.raises(FormatError, match="14 rows"):
        split_heads(matrix(13), metadata("Youtu"), PATH)


def test_a_pair_of_peft_is_taken_apart_as_its_product_is() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((2, N_LATENT)).astype(np.float32)
    b = rng.standard_normal((N_HEAD * (N_K + N_V), 2)).astype(np.float32)
    name = "blk.0.attn_kv_b.weight"
    pairs = split_pair(PATH, name, Pair(a, b, 0.5), MIXER)
    rows = (b @ a).reshape(N_HEAD, N_K + N_V, N_LATENT)
    for part, want in (("k", rows[:, :N_K].swapaxes(1, 2)), ("v", rows[:, N_K:])):
        pair = pairs[f"blk.0.attn_{part}_b.weight"]
        assert pair.scale == 0.5
        np.testing.assert_allclose(pair.b @ pair.a, want, rtol=1e-5)
    with pytest.raises(FormatError, match="14 rows"):
        split_pair(PATH, name, Pair(a, b[1:], 0.5), MIXER)
    with pytest.raises(UnsupportedError, match="magnitude"):
        split_pair(PATH, name, Pair(a, b, 0.5, np.ones(len(b), np.float32)), MIXER)


def test_groups_count_where_the_method_chooses_them() -> None:
    groups = {"n_group": 4, "topk_group": 2, "num_experts_per_tok": 2}
    key = "deepseek2.expert_group_count"
    greedy = metadata("DeepseekV2", **groups)
    assert greedy.values[key] == 1
    method = {"topk_method": "group_limited_greedy"}
    assert metadata("DeepseekV2", **groups, **method).values[key] == 4


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("DeepseekV2", {"topk_method": "noaux_tc", "num_experts_per_tok": 2}),
        ("DeepseekV3", {"rope_interleave": False}),
        ("DeepseekV3", {"attention_bias": True}),
    ],
)
def test_settings_that_gguf_has_not_are_refused(
    name: str, change: dict[str, Any]
) -> None:
    with pytest.raises(UnsupportedError, match=next(iter(change))):
        metadata(name, **change)


GROWING = {
    **{"rope_type": "yarn", "factor": 40.0, "rope_theta": 1e4},
    **{"original_max_position_embeddings": 4096, "llama_4_scaling_beta": 0.25},
}


@pytest.mark.parametrize("share", [None, 2 / (N_K + 2)])
def test_queries_of_mistral_4_grow_from_the_context_before_scaling(
    share: float | None,
) -> None:
    said = {} if share is None else {"partial_rotary_factor": share}
    made = metadata("Mistral4", rope_parameters=GROWING | said).values
    assert made["general.architecture"] == "mistral4"
    assert made["mistral4.attention.temperature_scale"] == 0.25
    assert made["mistral4.attention.temperature_length"] == 4096
    assert made["mistral4.rope.dimension_count"] == 2
    assert made["mistral4.attention.kv_lora_rank"] == N_LATENT


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"llama_4_scaling_beta": None}, "llama_4_scaling_beta"),
        ({"rope_type": "linear"}, "rope_type"),
    ],
)
def test_rotations_that_mistral_4_cannot_have_are_refused(
    change: dict[str, Any], named: str
) -> None:
    with pytest.raises((FormatError, UnsupportedError), match=named):
        metadata("Mistral4", rope_parameters=GROWING | change)


def test_texts_of_a_mistral_3_may_be_a_mistral_4s() -> None:
    text = {"model_type": "mistral4", **SIZES, "rope_parameters": GROWING}
    found = {"architectures": ["Mistral3ForConditionalGeneration"], "text_config": text}
    made = read_config(JsonObject(PATH, found), "model")
    assert made.family.architecture == "mistral4"


def test_yarn_multiplies_scores_and_has_no_magnitude() -> None:
    yarn = {"rope_type": "yarn", "factor": 40.0, "rope_theta": 1e4}
    yarn |= {"original_max_position_embeddings": 4096}
    start = "deepseek2.rope.scaling"
    scored = yarn | {"mscale": 0.7, "mscale_all_dim": 0.7}
    both = metadata("Youtu", rope_parameters=scored)
    assert both.values[f"{start}.yarn_log_multiplier"] == pytest.approx(0.07)
    assert f"{start}.attn_factor" not in both.values
    neither = metadata("Youtu", rope_parameters=yarn)
    assert f"{start}.yarn_log_multiplier" not in neither.values
