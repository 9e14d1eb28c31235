"""Qwen 3.5 and Qwen3-Next in Hugging Face's form: a delta rule, and attention.

`linear_attention` stands for layers with the gated delta rule there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llamacy.config import DeltaRuleConfig
from llamacy.formats.gguf.limits import MAX_HEAD_DIM, MAX_HEADS, MAX_LAYERS
from llamacy.formats.hugging_face.common_keys import RMS, WHOLE, Defaults
from llamacy.formats.hugging_face.family import Family, Mixture
from llamacy.formats.hugging_face.layer_names import (
    ATTENTION,
    EXPERTS,
    FEED_FORWARD,
    HEAD_NORMS,
    SHARED_EXPERT,
)
from llamacy.formats.hugging_face.vision_families import IMAGE_PART, TEXT_PART
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("qwen35", "qwen35moe", "qwen3next")
_TILED: Final = ("qwen35", "qwen35moe")
_RULE: Final = "linear_attention"
_RECURRENT: Final = "recurrent_layers"
_MAX_KERNEL: Final = 1 << 8

_ATTENTION: Final = ATTENTION | HEAD_NORMS
_END: Final = {
    "linear_attn.conv1d": "ssm_conv1d",
    "linear_attn.dt_bias": "ssm_dt",
    "linear_attn.A_log": "ssm_a",
    "linear_attn.norm": "ssm_norm",
    "linear_attn.out_proj": "ssm_out",
}
_DELTA_RULE: Final = {
    "linear_attn.in_proj_qkv": "attn_qkv",
    "linear_attn.in_proj_z": "attn_gate",
    "linear_attn.in_proj_a": "ssm_alpha",
    "linear_attn.in_proj_b": "ssm_beta",
    **_END,
}
_FUSED_DELTA_RULE: Final = {
    "linear_attn.in_proj_qkvz": "attn_qkv",  # and attn_gate
    "linear_attn.in_proj_ba": "ssm_ba",
    **_END,
}
_NORM: Final = {"input_layernorm": "attn_norm"}
_SECOND_NORM: Final = {"post_attention_layernorm": "post_attention_norm"}
_MIXTURE: Final = {"mlp.gate": "ffn_gate_inp", **SHARED_EXPERT}

_QWEN35: Final = Family(
    architecture="qwen35",
    layer={**_NORM, **_ATTENTION, **_DELTA_RULE, **_SECOND_NORM, **FEED_FORWARD},
    renamed=TEXT_PART,
    images=IMAGE_PART,
    forms={
        "attn_qkv": "keys_and_values",
        "ssm_conv1d": "keys_and_values",
        **dict.fromkeys(("attn_gate", "ssm_alpha", "ssm_beta", "ssm_dt"), "values"),
        "ssm_a": "decays",
        "ssm_out": "value_columns",
    },
    norm_offset=1.0,
    plain_norms=frozenset({"ssm_norm"}),
    has_partial_rope=True,
    sections=(11, 11, 10),
)
_QWEN35MOE: Final = replace(
    _QWEN35,
    architecture="qwen35moe",
    layer={**_NORM, **_ATTENTION, **_DELTA_RULE, **_SECOND_NORM, **_MIXTURE},
    mixture=Mixture(
        names=(EXPERTS,),
        width="moe_intermediate_size",
        shared_width="shared_expert_intermediate_size",
    ),
)
_QWEN3NEXT: Final = Family(
    architecture="qwen3next",
    layer={**_NORM, **_ATTENTION, **_FUSED_DELTA_RULE, **_SECOND_NORM, **_MIXTURE},
    forms={
        "attn_qkv": "by_key_head",
        "ssm_conv1d": "keys_and_values",
        "ssm_dt": "values",
        "ssm_a": "decays",
        "ssm_out": "value_columns",
    },
    norm_offset=1.0,
    plain_norms=frozenset({"ssm_norm"}),
    has_partial_rope=True,
    mixture=Mixture(
        names=(EXPERTS,),
        width="moe_intermediate_size",
        shared_width="shared_expert_intermediate_size",
        normalized="norm_topk_prob",
    ),
)
FAMILIES: Final[Mapping[str, Family]] = {
    "Qwen3_5ForCausalLM": _QWEN35,
    "Qwen3_5ForConditionalGeneration": _QWEN35,
    "Qwen3_5MoeForCausalLM": _QWEN35MOE,
    "Qwen3_5MoeForConditionalGeneration": _QWEN35MOE,
    "Qwen3NextForCausalLM": _QWEN3NEXT,
}
"""The families of this file by the names of their classes."""

_DEFAULTS: Final[Defaults] = {
    **RMS,
    "num_attention_heads": 16,
    "head_dim": 256,
    "max_position_embeddings": 32768,
    "attention_bias": False,
    "partial_rotary_factor": 0.25,
    "layer_types": None,
    "full_attention_interval": 4,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_value_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
}
_DENSE: Final[Defaults] = {
    **_DEFAULTS,
    "vocab_size": 248320,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 32,
    "num_key_value_heads": 4,
}
_EXPERTS: Final[Defaults] = {
    **_DEFAULTS,
    "hidden_size": 2048,
    "num_key_value_heads": 2,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
}
_MOE: Final[Defaults] = {
    **_EXPERTS,
    "vocab_size": 248320,
    "num_hidden_layers": 40,
    "num_experts_per_tok": 8,
    "num_experts": 256,
}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    "Qwen3_5ForCausalLM": _DENSE,
    "Qwen3_5ForConditionalGeneration": {**_DENSE, "vision_config": None},
    "Qwen3_5MoeForCausalLM": _MOE,
    "Qwen3_5MoeForConditionalGeneration": {**_MOE, "vision_config": None},
    "Qwen3NextForCausalLM": {
        **_EXPERTS,
        "vocab_size": 151936,
        "intermediate_size": 5632,
        "num_hidden_layers": 48,
        "num_experts_per_tok": 10,
        "num_experts": 512,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": None,
    },
}
"""Keys and defaults of the classes: see `classes`."""


def with_sizes(config: JsonObject) -> JsonObject:
    """Return config.json with the layers' kinds, as other families have them.

    Raises
    ------
    FormatError
        A value is missing or wrong.
    UnsupportedError
        A layer of an unknown kind, or none that attends.
    """
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    kinds = config.items("layer_types")
    if not kinds:
        period = config.integer("full_attention_interval", 1, MAX_LAYERS)
        kinds = [WHOLE if (i + 1) % period == 0 else _RULE for i in range(n_layer)]
    if len(kinds) != n_layer:
        config.fail("layer_types", f"{n_layer} names", kinds)
    for kind in kinds:
        if kind not in (WHOLE, _RULE):
            config.refuse("layer_types", f"{WHOLE} or {_RULE}", kind)
    if WHOLE not in kinds:
        config.refuse("layer_types", f"{WHOLE} in some layers", _RULE)
    values = config.values | {
        _RECURRENT: [kind == _RULE for kind in kinds],
        "layer_types": [WHOLE] * n_layer,
    }
    return JsonObject(config.path, values)


def read_delta_rule(config: JsonObject, architecture: str) -> DeltaRuleConfig:
    """Read the sizes of layers with a delta rule, and the order of heads in GGUF.

    Raises
    ------
    FormatError
        A size is missing, out of range, or does not go with another.
    """
    n_head = config.integer("linear_num_value_heads", 1, MAX_HEADS)
    n_key_head = config.integer("linear_num_key_heads", 1, MAX_HEADS)
    if n_head % n_key_head:
        config.fail("linear_num_key_heads", f"a divisor of {n_head}", n_key_head)
    return DeltaRuleConfig(
        n_head,
        n_key_head,
        key_dim=config.integer("linear_key_head_dim", 1, MAX_HEAD_DIM),
        value_dim=config.integer("linear_value_head_dim", 1, MAX_HEAD_DIM),
        n_kernel=config.integer("linear_conv_kernel_dim", 2, _MAX_KERNEL),
        key_head="modulo" if architecture in _TILED else "division",
    )


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has."""
    sizes = read_delta_rule(config, architecture)
    prefix = f"{architecture}.ssm"
    metadata.integer(f"{prefix}.conv_kernel", sizes.n_kernel)
    metadata.integer(f"{prefix}.state_size", sizes.key_dim)
    metadata.integer(f"{prefix}.group_count", sizes.n_key_head)
    metadata.integer(f"{prefix}.time_step_rank", sizes.n_head)
    metadata.integer(f"{prefix}.inner_size", sizes.n_head * sizes.value_dim)
    flags = config.items(_RECURRENT)
    metadata.flags(f"{architecture}.attention.recurrent_layers", flags)
    period = flags.index(False) + 1
    if flags == [(i + 1) % period != 0 for i in range(len(flags))]:
        metadata.integer(f"{architecture}.full_attention_interval", period)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks: those of the other kind of mixer."""
    of_attention = frozenset(_ATTENTION.values())
    of_rule = frozenset((_DELTA_RULE | _FUSED_DELTA_RULE).values())
    are_recurrent = config.items(_RECURRENT)
    return tuple(of_attention if each else of_rule for each in are_recurrent)
