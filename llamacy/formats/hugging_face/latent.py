"""DeepSeek V2, V3, Mistral 4 and their like in Hugging Face's form: latent attention.

Rows of `kv_b_proj` make, head by head, own keys and values of a latent. GGUF has them
in two tensors of a matrix a head; those for keys are turned, to multiply queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

from llamacy.errors import FormatError
from llamacy.formats.gguf.limits import MAX_EMBD, MAX_HEAD_DIM
from llamacy.formats.hugging_face.common_keys import n_layers
from llamacy.formats.hugging_face.expert_forms import Select, Selection
from llamacy.formats.hugging_face.family import Family, Mixture
from llamacy.formats.hugging_face.forms import Vector
from llamacy.formats.hugging_face.layer_names import EXPERTS, FEED_FORWARD
from llamacy.formats.hugging_face.vision_families import IMAGE_PART, TEXT_PART
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.formats.model_file import ModelTensor
from llamacy.formats.safetensors.folder import Floats
from llamacy.ggml.types import GGMLType

NAME: Final = "deepseek2"
ALIKE: Final = (NAME, "mistral4")
"""Families of DeepSeek's layers."""

NAMES: Final = (*ALIKE, "kimi-linear", "bailingmoe3")
"""Families with latent attention."""

OF_BOTH: Final = "attn_kv_b"
PARTS: Final = ("attn_k_b", "attn_v_b")
"""The tensors that GGUF has in its place."""

_FLOATS: Final = (GGMLType.F32, GGMLType.F16, GGMLType.BF16)
_OF_ATTENTION: Final = (
    *("kv_lora_rank", "qk_rope_head_dim"),
    *("qk_nope_head_dim", "v_head_dim"),
)
_METHODS: Final = ("greedy", "group_limited_greedy")
_SHARE: Final = "partial_rotary_factor"

ATTENTION: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.q_a_proj": "attn_q_a",
    "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b",
    "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm",
    "self_attn.kv_b_proj": OF_BOTH,
    "self_attn.o_proj": "attn_output",
}
"""Parts of latent attention."""

_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **ATTENTION,
    "post_attention_layernorm": "ffn_norm",
    **FEED_FORWARD,
}
_SHARED: Final = {
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp",
}
_PRESENT: Final = {
    "attn_q": ("has_q_latent", False),
    "attn_q_a": ("has_q_latent", True),
    "attn_q_a_norm": ("has_q_latent", True),
    "attn_q_b": ("has_q_latent", True),
}
_HAS_SHARED: Final = dict.fromkeys(_SHARED.values(), ("has_shared_experts", True))
NUMBERS: Final = {
    "n_shared_experts": "expert_shared_count",
    "n_group": "expert_group_count",
    "topk_group": "expert_group_used_count",
}
"""Keys of experts and of their groups."""

_INTERLEAVED: Final = {"rope_interleave": True}
_MIXTURE: Final = Mixture(
    names=(EXPERTS,),
    width="moe_intermediate_size",
    scale="routed_scaling_factor",
    numbers=NUMBERS,
)
_V2: Final = Family(
    architecture=NAME,
    layer={**_LAYER, "mlp.gate": "ffn_gate_inp", **_SHARED},
    present={**_PRESENT, **_HAS_SHARED},
    mixture=_MIXTURE,
)
_V3: Final = Family(
    architecture=NAME,
    layer={
        **_LAYER,
        "mlp.gate": "ffn_gate_inp",
        "mlp.gate.e_score_correction_bias": "exp_probs_b",
        **_SHARED,
    },
    present={**_PRESENT, **_HAS_SHARED},
    mixture=replace(_MIXTURE, normalized="norm_topk_prob", gating="scoring_func"),
    fixed_flags=_INTERLEAVED,
)
_YOUTU: Final = Family(
    architecture=NAME, layer=_LAYER, present=_PRESENT, fixed_flags=_INTERLEAVED
)
_MISTRAL4: Final = replace(
    _V2,
    architecture="mistral4",
    renamed=TEXT_PART,
    images=IMAGE_PART,
    mixture=replace(_MIXTURE, normalized="norm_topk_prob"),
    fixed_flags=_INTERLEAVED,
    query_growth="llama_4_scaling_beta",
)

FAMILIES: Final[Mapping[str, Family]] = {
    "DeepseekV2ForCausalLM": _V2,
    "DeepseekV3ForCausalLM": _V3,
    "Glm4MoeLiteForCausalLM": _V3,
    "YoutuForCausalLM": _YOUTU,
    "Mistral4ForCausalLM": _MISTRAL4,
}
"""These families by the name of their class."""


def with_v2_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Add keys that follow from others; groups count only where they are chosen."""
    if values.get("topk_method") == _METHODS[0]:
        values["n_group"] = values["topk_group"] = 1
    return with_latent_keys(values)


def with_v3_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Add keys that follow from others: the router's gates are sigmoids."""
    values["scoring_func"] = "sigmoid"
    kinds, n_layer = values.get("mlp_layer_types", ()), n_layers(values)
    if kinds is None and n_layer:
        values["mlp_layer_types"] = ["dense", *["sparse"] * (n_layer - 1)]
    return with_latent_keys(values)


def with_mistral4_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Add keys that follow from others; rotated dimensions are counted elsewhere too.

    The share of them that the settings of rotations have says nothing if it is theirs.
    """
    rotated, plain = (values.get(f"qk_{part}_head_dim") for part in ("rope", "nope"))
    for key in ("rope_parameters", "rope_scaling"):
        rope = values.get(key)
        if not isinstance(rope, dict) or type(rotated) is not int:
            continue
        share = rope.get(_SHARE)
        if type(plain) is int and share == rotated / (rotated + plain):
            values[key] = {name: rope[name] for name in rope if name != _SHARE}
    return with_latent_keys(values)


def with_latent_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Say which dimensions are rotated, and what queries and experts there are."""
    values["head_dim"] = values.get("qk_rope_head_dim")
    values["num_key_value_heads"] = None  # as many as heads, before they are absorbed
    values["has_q_latent"] = values.get("q_lora_rank") is not None
    values["has_shared_experts"] = bool(values.get("n_shared_experts"))
    return values


def add_sizes(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the sizes of keys and values: of the one of all heads, and of each head's.

    Raises
    ------
    FormatError
        A size is missing, or out of range.
    UnsupportedError
        Groups of experts are chosen in an unknown way.
    """
    n_latent, n_rotated, n_plain, n_own = (
        config.integer(key, 1, MAX_HEAD_DIM) for key in _OF_ATTENTION
    )
    for key, size in (
        *((("head_count_kv", 1),) if architecture == NAME else ()),
        ("key_length", n_latent + n_rotated),
        ("value_length", n_latent),
        ("key_length_mla", n_plain + n_rotated),
        ("value_length_mla", n_own),
        ("kv_lora_rank", n_latent),
    ):
        metadata.integer(f"{architecture}.attention.{key}", size)
    if "q_lora_rank" in config:
        n_q_latent = config.integer("q_lora_rank", 1, MAX_EMBD)
        metadata.integer(f"{architecture}.attention.q_lora_rank", n_q_latent)
    if "topk_method" in config:
        method = config.text("topk_method")
        if method not in _METHODS:
            config.refuse("topk_method", " or ".join(_METHODS), method)


def split_heads(
    whole: ModelTensor, metadata: Metadata, path: Path
) -> list[ModelTensor]:
    """Take the rows of each head apart: those for keys, turned, and those for values.

    Raises
    ------
    FormatError
        The matrix has another number of rows.
    """
    sizes = metadata.values
    architecture = sizes["general.architecture"]
    n_head, key_dim, n_v, n_rotated = (
        sizes[f"{architecture}.{key}"]
        for key in (
            *("attention.head_count", "attention.key_length_mla"),
            *("attention.value_length_mla", "rope.dimension_count"),
        )
    )
    n_k = key_dim - n_rotated
    n_rows, n_in = whole.shape
    if n_rows != n_head * (n_k + n_v):
        wanted = f"{n_head * (n_k + n_v)} rows"
        raise FormatError(path, f"tensor {whole.name}: shape", wanted, whole.shape)

    def of_keys(rows: Any) -> Any:
        return rows.reshape(n_head, n_k + n_v, n_in)[:, :n_k].swapaxes(1, 2)

    def of_values(rows: Any) -> Any:
        return rows.reshape(n_head, n_k + n_v, n_in)[:, n_k:]

    shapes = (n_head, n_in, n_k), (n_head, n_v, n_in)
    return [
        _selected(whole, part, shape, select)
        for part, shape, select in zip(PARTS, shapes, (of_keys, of_values), strict=True)
    ]


def _selected(
    whole: ModelTensor, part: str, shape: tuple[int, ...], select: Select
) -> ModelTensor:
    name = whole.name.replace(OF_BOTH, part)
    if whole.type in _FLOATS:
        return Selection(name, shape, cast(Floats, whole), select)
    # blocks lie along rows, and are not turned
    return Vector(name, shape, lambda: select(whole.dequantize()))
