"""Ling 3.0 and Ring 3.0 in Hugging Face's form: Kimi Delta Attention, gated latents.

Their makers' files and transformers' have other names of tensors. `g_proj` makes gates
of both kinds of layers, which have two names in GGUF.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamacy.formats.gguf.limits import (
    MAX_HEAD_DIM,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_SCALE,
    MIN_SCALE,
)
from llamacy.formats.hugging_face import kimi_delta, latent
from llamacy.formats.hugging_face.common_keys import RMS, WHOLE, Defaults
from llamacy.formats.hugging_face.family import Family, Mixture
from llamacy.formats.hugging_face.kimi_delta import DELTA_RULE, RULE
from llamacy.formats.hugging_face.layer_names import EXPERTS, FEED_FORWARD
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("bailingmoe3",)
_LIMITS: Final = {
    "expert_swiglu_limit_list": "swiglu_clamp_exp",
    "share_expert_swiglu_limit_list": "swiglu_clamp_shexp",
}

_DECAYS: Final = {"self_attn.f_proj": "ssm_f_a"}
_GATES: Final = {"self_attn.g_proj": "ssm_g_a"}
_MIXER: Final = {
    **latent.ATTENTION,
    **DELTA_RULE,
    **_DECAYS,
    "self_attn.g_proj": "attn_gate",
}
_SHARED: Final = {
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp",
}
_BAILING: Final = Family(
    architecture="bailingmoe3",
    layer={
        "input_layernorm": "attn_norm",
        **_MIXER,
        "post_attention_layernorm": "ffn_norm",
        **FEED_FORWARD,
        "mlp.gate": "ffn_gate_inp",
        "mlp.gate.e_score_correction_bias": "exp_probs_b",
        **_SHARED,
    },
    recurrent=_GATES,
    renamed={"model.word_embeddings.": "model.embed_tokens."},
    aliases={
        **{each.replace("self_attn.", "attention."): each for each in _MIXER},
        "attention.dense": "self_attn.o_proj",
        "mlp.gate.expert_bias": "mlp.gate.e_score_correction_bias",
        **{
            f"self_attn.forget_gate.{each}": f"self_attn.{each}"
            for each in ("f_proj", "dt_bias", "A_log")
        },
    },
    present={
        **dict.fromkeys(_SHARED.values(), ("has_shared_experts", True)),
        "exp_probs_b": ("moe_router_enable_expert_bias", True),
    },
    forms={**kimi_delta.KERNELS, "ssm_a": "rate"},
    mixture=Mixture(
        names=(EXPERTS,),
        width="moe_intermediate_size",
        normalized="norm_topk_prob",
        scale="routed_scaling_factor",
        gating="scoring_func",
        numbers=latent.NUMBERS,
    ),
    fixed_flags={
        "rope_interleave": True,
        "no_kda_lora": True,
        **dict.fromkeys(
            (
                *("use_kda_lora", "use_mla_nope", "use_nGPT"),
                *("value_norm", "up_proj_norm", "scale_router_input"),
            ),
            False,
        ),
    },
)
NAMES_OF_KEYS: Final[Mapping[str, str]] = {
    **kimi_delta.NAMES_OF_KEYS,
    # in transformers' files head_dim is another
    "linear_head_dim": "head_dim",
    "linear_num_heads": "num_attention_heads",
    "linear_conv_kernel_dim": "short_conv_kernel_size",
}
"""Two names of keys, of which the makers' files have one, and transformers' both."""

FAMILIES: Final[Mapping[str, Family]] = {"BailingHybridForCausalLM": _BAILING}
"""The families of this file by the names of their classes."""

_KEYS: Final[Defaults] = {
    **RMS,
    "vocab_size": 157184,
    "hidden_size": 2560,
    "intermediate_size": 6144,
    "num_hidden_layers": 42,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 262144,
    "attention_bias": False,
    "rope_theta": 6000000.0,
    "head_dim": 128,
    "kv_lora_rank": 512,
    "q_lora_rank": None,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "moe_intermediate_size": 768,
    "num_experts_per_tok": 8,
    "num_local_experts": 512,
    "n_shared_experts": 1,
    "n_group": 8,
    "topk_group": 4,
    "routed_scaling_factor": 2.5,
    "norm_topk_prob": True,
    "first_k_dense_replace": 2,
    "mlp_layer_types": None,
    "layer_types": None,
    "layer_group_size": 6,
    "short_conv_kernel_size": 4,
    "kda_safe_gate": True,
    "kda_lower_bound": -5.0,
    "num_nextn_predict_layers": 1,
    "linear_head_dim": 128,
    "linear_num_heads": 32,
    "linear_conv_kernel_dim": 4,
    # of the makers' files
    **_BAILING.fixed_flags,
    **dict.fromkeys(_LIMITS),
    "use_bias": False,
    "use_qkv_bias": False,
    "gated_attention_proj_granularity_type": "head_wise",
    "score_function": "sigmoid",
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "moe_shared_expert_intermediate_size": None,
    "moe_router_enable_expert_bias": True,
    "num_kv_heads_for_linear_attn": 0,
    # which the makers' code does not read
    **dict.fromkeys(
        (
            *("embedding_dropout", "output_dropout", "group_norm_size", "linear_silu"),
            *("mtp_use_kda", "router_dtype", "seq_aux", "use_qk_norm"),
        )
    ),
    "mtp_loss_scaling_factor": 0.0,
}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    "BailingHybridForCausalLM": {
        **_KEYS,
        **{theirs: _KEYS[ours] for theirs, ours in kimi_delta.NAMES_OF_KEYS.items()},
    }
}
"""Keys and defaults of the classes: see `classes`."""


def with_own_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Add keys that follow from others; all dimensions with positions are rotated."""
    key = "partial_rotary_factor"
    rope = values.get("rope_parameters")
    if isinstance(rope, dict):
        values["rope_parameters"] = {k: rope[k] for k in rope if k != key}
    values[key] = None
    return latent.with_latent_keys(values)


def with_sizes(config: JsonObject) -> JsonObject:
    """Return config.json with the layers' kinds, as other families have them.

    Raises
    ------
    FormatError
        A value is missing or wrong.
    UnsupportedError
        A layer of an unknown kind, none that attends, or a setting whose meaning the
        makers' code and transformers do not both have.
    """
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    period = config.integer("layer_group_size", 1, MAX_LAYERS)
    # layers after the last whole group attend, too
    n_whole = n_layer // period * period
    kinds = config.items("layer_types") or [
        WHOLE if (layer + 1) % period == 0 or layer >= n_whole else RULE
        for layer in range(n_layer)
    ]
    for key, wanted in (
        ("gated_attention_proj_granularity_type", "head_wise"),
        ("score_function", "sigmoid"),
        ("scoring_func", "sigmoid"),
        ("topk_method", "noaux_tc"),
    ):
        if (found := config.text(key)) != wanted:
            config.refuse(key, wanted, found)
    _check_rope(config)
    return kimi_delta.with_kinds(config, kinds, {"topk_method": None, **_sizes(config)})


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has."""
    kimi_delta.add_keys(config, architecture, metadata)
    _add_limits(config, architecture, metadata)
    is_safe = config.flag("kda_safe_gate")
    metadata.flag(f"{architecture}.kda.safe_gate", is_safe)
    least = config.real("kda_lower_bound", -MAX_SCALE, -MIN_SCALE)
    metadata.real(f"{architecture}.kda.gate_lower_bound", least)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks: those of the other kind of mixer."""
    of_rule = (*DELTA_RULE.values(), *_DECAYS.values(), *_GATES.values())
    return kimi_delta.lacked(config, of_rule, ("attn_gate",))


def _check_rope(config: JsonObject) -> None:
    """Refuse rotations that are scaled, of which scores would have a factor."""
    for key in ("rope_scaling", "rope_parameters"):
        if (rope := config.child(key)) is not None:
            kind = rope.text("rope_type", rope.text("type", "default"))
            if kind != "default":
                rope.refuse("rope_type", "default", kind)


def _add_limits(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add bounds of what experts compute, which transformers passes over.

    They are computed as in the makers' code for vLLM, and in llama.cpp.
    """
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    for theirs, ours in _LIMITS.items():
        limits = [0 if each is None else each for each in config.items(theirs)]
        if not any(limits):
            continue
        if len(limits) < n_layer:  # there may be more, of layers that draft
            config.fail(theirs, f"{n_layer} numbers", len(limits))
        for limit in limits:
            is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
            if not is_number or not 0 <= limit <= MAX_SCALE:
                config.fail(theirs, f"numbers of 0 to {MAX_SCALE:g}", limit)
        metadata.reals(f"{architecture}.{ours}", limits[:n_layer])


def _sizes(config: JsonObject) -> dict[str, int]:
    """Return the sizes of the delta rule."""
    n_head = config.integer("num_attention_heads", 1, MAX_HEADS)
    for key in ("linear_num_heads", "num_kv_heads_for_linear_attn"):
        if (found := config.integer(key, 0, MAX_HEADS) or n_head) != n_head:
            config.refuse(key, f"{n_head}, as num_attention_heads", found)
    key, width = "moe_shared_expert_intermediate_size", "moe_intermediate_size"
    if config.get(key) not in (None, config.get(width)):
        config.refuse(key, f"{config.get(width)}, as {width}", config.get(key))
    kernel = "linear_conv_kernel_dim"
    return {
        "linear_head_dim": config.integer("linear_head_dim", 1, MAX_HEAD_DIM),
        kernel: config.integer(kernel, 2, kimi_delta.MAX_KERNEL),
    }
