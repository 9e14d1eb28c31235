"""LFM2's families in Hugging Face's form: layers that convolve beside others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamacy.formats.gguf.limits import MAX_FF, MAX_HEADS, MAX_LAYERS
from llamacy.formats.hugging_face.common_keys import MODEL, WHOLE, WINDOWED, Defaults
from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture
from llamacy.formats.hugging_face.layer_names import ATTENTION, HEAD_NORMS
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("lfm2", "lfm2moe", "lfm3")
_CONV: Final = "conv"
_RECURRENT: Final = "recurrent_layers"
_SIGMOID: Final = 2  # in `expert_gating_func`

_ATTENTION: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_layernorm": "attn_q_norm",
    "self_attn.k_layernorm": "attn_k_norm",
    "self_attn.out_proj": "attn_output",
}
_GATED: Final = {
    **ATTENTION,
    **HEAD_NORMS,
    "self_attn.gate_proj": "attn_gate",
}
_CONVOLUTION: Final = {
    "conv.in_proj": "shortconv.in_proj",
    "conv.conv": "shortconv.conv",
    "conv.out_proj": "shortconv.out_proj",
}
_NETWORK: Final = {
    "feed_forward.w1": "ffn_gate",
    "feed_forward.w3": "ffn_up",
    "feed_forward.w2": "ffn_down",
}
_LAYER: Final = {
    "operator_norm": "attn_norm",
    **_ATTENTION,
    **_CONVOLUTION,
    "ffn_norm": "ffn_norm",
    **_NETWORK,
}
_LFM2: Final = Family(
    architecture="lfm2",
    layer=_LAYER,
    output_norm="token_embd_norm",
    renamed={"model.embedding_norm.": "model.norm."},
    forms={"shortconv.conv": "squeezed"},
    fixed_flags={"conv_bias": False},
)
_LFM2_MOE: Final = Family(
    architecture="lfm2moe",
    layer={
        **_LAYER,
        "feed_forward.gate": "ffn_gate_inp",
        "feed_forward.expert_bias": "exp_probs_b",
    },
    present={"exp_probs_b": ("use_expert_bias", True)},
    output_norm="token_embd_norm",
    renamed={"model.embedding_norm.": "model.norm."},
    forms={"shortconv.conv": "squeezed"},
    mixture=Mixture(
        names=(ExpertNames("feed_forward.experts", "w1", "w3", "w2"),),
        width="moe_intermediate_size",
        normalized="norm_topk_prob",
        scale="routed_scaling_factor",
    ),
    fixed_flags={"conv_bias": False},
)
_LFM3: Final = Family(
    architecture="lfm3",
    layer={
        "operator_norm": "attn_norm",
        **_GATED,
        **_CONVOLUTION,
        "post_operator_norm": "post_attention_norm",
        "ffn_norm": "ffn_norm",
        **_NETWORK,
        "post_ffn_norm": "post_ffw_norm",
    },
    aliases={"self_attn.g_proj": "self_attn.gate_proj"},
    present={
        "attn_gate": ("use_attention_gate", True),
        "post_attention_norm": ("use_sandwich_norm", True),
        "post_ffw_norm": ("use_sandwich_norm", True),
    },
    renamed={"model.embedding_norm.": "model.norm."},
    forms={"shortconv.conv": "squeezed"},
    biased=frozenset(ATTENTION.values()),
    fixed_flags={"conv_bias": False},
    has_proportional_rope=True,
)
FAMILIES: Final[Mapping[str, Family]] = {
    "Lfm2ForCausalLM": _LFM2,
    "Lfm2MoeForCausalLM": _LFM2_MOE,
    "Lfm3ForCausalLM": _LFM3,
}
"""The families of this file by the names of their classes."""

_DEFAULTS: Final[Defaults] = {
    **MODEL,
    "vocab_size": 65536,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 128000,
    "norm_eps": 1e-5,
    "rope_theta": 1e6,
    "tie_word_embeddings": True,
    "tie_embedding": None,
    "conv_bias": False,
    "conv_L_cache": 3,
    "layer_types": None,
}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    "Lfm2ForCausalLM": {
        **_DEFAULTS,
        "hidden_size": 2560,
        "intermediate_size": 12288,
        "block_ff_dim": None,
        "block_multiple_of": 256,
        "block_ffn_dim_multiplier": 1.0,
        "block_auto_adjust_ff_dim": True,
        "full_attn_idxs": None,
    },
    "Lfm2MoeForCausalLM": {
        **_DEFAULTS,
        "hidden_size": 2048,
        "intermediate_size": 7168,
        "moe_intermediate_size": 1792,
        "num_dense_layers": 2,
        "num_experts_per_tok": 4,
        "num_experts": 32,
        "use_expert_bias": True,
        "routed_scaling_factor": 1.0,
        "norm_topk_prob": True,
    },
    "Lfm3ForCausalLM": {
        **_DEFAULTS,
        "vocab_size": 128000,
        "hidden_size": 2048,
        "intermediate_size": 7680,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "head_dim": 128,
        "conv_L_cache": 7,
        "sliding_window": 256,
        "use_sandwich_norm": True,
        "use_attention_gate": True,
        "attention_bias": False,
        "rope_parameters": {
            WINDOWED: {"rope_type": "default", "rope_theta": 1e4},
            WHOLE: {
                "rope_type": "proportional",
                "rope_theta": 1e6,
                "partial_rotary_factor": 0.5,
            },
        },
        "rope_local_base_freq": 1e4,
    },
}
"""Keys and defaults of the classes: see `classes`."""


def with_sizes(config: JsonObject) -> JsonObject:
    """Return config.json with the sizes of each layer, as other families have them.

    Raises
    ------
    FormatError
        A value is missing or wrong.
    UnsupportedError
        A layer of an unknown kind.
    """
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    kinds = _kinds(config, n_layer)
    n_head_kv = config.integer("num_key_value_heads", 1, MAX_HEADS)
    tied = config.get("tie_embedding")
    values = config.values | {
        _RECURRENT: [kind == _CONV for kind in kinds],
        "layer_types": [WINDOWED if kind == WINDOWED else WHOLE for kind in kinds],
        "num_key_value_heads": [0 if kind == _CONV else n_head_kv for kind in kinds],
        "intermediate_size": _n_ff(config),
    }
    if tied is not None:
        values["tie_word_embeddings"] = tied
    return JsonObject(config.path, values)


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has."""
    n_kernel = config.integer("conv_L_cache", 2, 1 << 8)
    metadata.integer(f"{architecture}.shortconv.l_cache", n_kernel)
    if "num_experts" in config.values:
        metadata.integer(f"{architecture}.expert_gating_func", _SIGMOID)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks: those of the other kind of mixer."""
    of_attention = frozenset((_ATTENTION | _GATED).values())
    of_conv = frozenset(_CONVOLUTION.values())
    are_recurrent = config.items(_RECURRENT)
    return tuple(of_attention if each else of_conv for each in are_recurrent)


def _kinds(config: JsonObject, n_layer: int) -> list[str]:
    """Return each layer's kind; older files number the layers that attend."""
    kinds, known = config.items("layer_types"), [WHOLE, _CONV]
    has_windows = "sliding_window" in config.values
    if has_windows:
        known.append(WINDOWED)
    if not kinds and has_windows:
        kinds = list(map(_kind_by_rule, range(n_layer)))
    elif not kinds:
        attending: list[Any] = list(range(n_layer))
        if "full_attn_idxs" in config:
            attending = list(config.items("full_attn_idxs"))
        kinds = [WHOLE if layer in attending else _CONV for layer in range(n_layer)]
    if len(kinds) != n_layer:
        config.fail("layer_types", f"{n_layer} names", kinds)
    for kind in kinds:
        if kind not in known:
            config.refuse("layer_types", f"one of {', '.join(known)}", kind)
    if set(kinds) == {_CONV}:
        config.refuse("layer_types", f"{WHOLE} in some layers", _CONV)
    return list(kinds)


def _kind_by_rule(layer: int) -> str:
    """Return the kind of a layer of LFM3 whose file does not say."""
    if layer % 4 == 2:
        return WHOLE
    return WINDOWED if layer % 4 == 0 and layer else _CONV


def _n_ff(config: JsonObject) -> int:
    """Return the width of networks, which LFM2 derives from the one that it names."""
    key = "block_ff_dim" if config.get("block_ff_dim") is not None else ""
    n_ff = config.integer(key or "intermediate_size", 1, MAX_FF)
    if not config.flag("block_auto_adjust_ff_dim", False):
        return n_ff
    n_ff = int(2 * n_ff / 3)
    if config.get("block_ffn_dim_multiplier") is not None:
        factor = config.real("block_ffn_dim_multiplier", 1e-3, 1e3)
        n_ff = int(factor * n_ff)
    multiple = config.integer("block_multiple_of", 1, MAX_FF)
    return -(-n_ff // multiple) * multiple
