"""Gemma 4 in Hugging Face's form: two kinds of layers, which differ in sizes.

Layers with a window and layers without have heads of different sizes, and the last
layers have no keys. config.json has both kinds' sizes, under keys of its own or, as
transformers 5 writes it, as `per_layer_config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.config import family_rules
from llamacy.formats.gguf.limits import MAX_EMBD, MAX_HEAD_DIM, MAX_HEADS, MAX_LAYERS
from llamacy.formats.hugging_face.common_keys import RMS, WHOLE, WINDOWED, Defaults
from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture
from llamacy.formats.hugging_face.layer_names import (
    ATTENTION,
    FEED_FORWARD,
    HEAD_NORMS,
)
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAME: Final = "gemma4"
_OVERRIDES: Final = ("head_dim", "num_key_value_heads")
_SHARED: Final = "num_kv_shared_layers"
_NOT_ROTATED: Final = 1e30  # llama.cpp's divisor of such dimensions' frequencies

_EXPERTS: Final = ("has_experts", True)
_OWN_EMBEDDINGS: Final = ("has_own_embeddings", True)
_TEXT: Final = Family(
    architecture=NAME,
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        **HEAD_NORMS,
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        **FEED_FORWARD,
        "post_feedforward_layernorm": "post_ffw_norm",
        "post_feedforward_layernorm_1": "post_ffw_norm_1",
        "pre_feedforward_layernorm_2": "pre_ffw_norm_2",
        "post_feedforward_layernorm_2": "post_ffw_norm_2",
        "router.proj": "ffn_gate_inp",
        "router.scale": "ffn_gate_inp",
        "router.per_expert_scale": "ffn_down_exps",
        "per_layer_input_gate": "inp_gate",
        "per_layer_projection": "proj",
        "post_per_layer_input_norm": "post_norm",
        "layer_scalar": "layer_output_scale",
    },
    outside={
        "model.embed_tokens_per_layer": "per_layer_token_embd",
        "model.per_layer_model_projection": "per_layer_model_proj",
        "model.per_layer_projection_norm": "per_layer_proj_norm",
    },
    present={
        **dict.fromkeys(("post_ffw_norm_1", "pre_ffw_norm_2"), _EXPERTS),
        **dict.fromkeys(("post_ffw_norm_2", "ffn_gate_inp", "ffn_down_exps"), _EXPERTS),
        **dict.fromkeys(("inp_gate", "proj", "post_norm"), _OWN_EMBEDDINGS),
        **dict.fromkeys(
            ("per_layer_token_embd", "per_layer_model_proj", "per_layer_proj_norm"),
            _OWN_EMBEDDINGS,
        ),
    },
    biased=frozenset(ATTENTION.values()),
    mixture=Mixture(
        names=(ExpertNames("experts", "gate_proj", "up_proj", "down_proj"),),
        width="moe_intermediate_size",
        switch="has_experts",
        is_scaled=True,
        has_network=True,
    ),
    activations=("gelu_pytorch_tanh",),
    has_proportional_rope=True,
    constants={"final_logit_softcapping": "final_logit_softcapping"},
)
_WITH_OTHER_PARTS: Final = replace(
    _TEXT,
    renamed={"model.language_model.": "model."},
    images=tuple(
        f"model.{part}."
        for part in (
            *("vision_tower", "vision_embedder", "embed_vision"),
            *("audio_tower", "embed_audio"),
        )
    ),
)
FAMILIES: Final[Mapping[str, Family]] = {
    "Gemma4ForCausalLM": _TEXT,
    "Gemma4ForConditionalGeneration": _WITH_OTHER_PARTS,
    "Gemma4UnifiedForCausalLM": _TEXT,
    "Gemma4UnifiedForConditionalGeneration": _WITH_OTHER_PARTS,
}
"""The families of this file by the names of their classes."""

_DEFAULTS: Final[Defaults] = {
    **RMS,
    "hidden_act": None,
    "vocab_size": 262144,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 30,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "global_head_dim": 512,
    "num_global_key_value_heads": None,
    "per_layer_config": None,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "sliding_window": 512,
    "layer_types": None,
    "final_logit_softcapping": None,
    "use_bidirectional_attention": None,
    "rope_parameters": {
        WINDOWED: {"rope_type": "default", "rope_theta": 1e4},
        WHOLE: {
            "rope_type": "proportional",
            "partial_rotary_factor": 0.25,
            "rope_theta": 1e6,
        },
    },
    "rope_theta": 1e6,
    "rope_local_base_freq": 1e4,
    "vocab_size_per_layer_input": 262144,
    "hidden_size_per_layer_input": 256,
    "attention_k_eq_v": False,
    "num_kv_shared_layers": 0,
    "use_double_wide_mlp": False,
    "enable_moe_block": False,
    "num_experts": None,
    "top_k_experts": None,
    "moe_intermediate_size": None,
}
_UNIFIED: Final[Defaults] = {
    **_DEFAULTS,
    "max_position_embeddings": 262144,
    "sliding_window": 1024,
    "use_bidirectional_attention": "vision",
    "hidden_size_per_layer_input": 0,
}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    "Gemma4ForCausalLM": _DEFAULTS,
    "Gemma4ForConditionalGeneration": {**_DEFAULTS, "vision_config": None},
    "Gemma4UnifiedForCausalLM": _UNIFIED,
    "Gemma4UnifiedForConditionalGeneration": {**_UNIFIED, "vision_config": None},
}
"""Keys and defaults of the classes: see `classes`."""


def with_sizes(config: JsonObject) -> JsonObject:
    """Return config.json with the sizes of each layer, as other families have them.

    Raises
    ------
    FormatError
        A value is missing or wrong.
    UnsupportedError
        A layer differs in something else, or sees later tokens.
    """
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    kinds = _kinds(config, n_layer)
    n_shared = config.integer(_SHARED, 0, n_layer - 1, default=0)
    whole = _of_whole_layers(config, kinds)
    n_head_kv = config.integer("num_key_value_heads", 1, MAX_HEADS)
    n_ff = config.integer("intermediate_size", 1, MAX_EMBD * 8)
    factor = 2 if config.flag("use_double_wide_mlp") else 1
    direction = config.get("use_bidirectional_attention")
    values = config.values | {
        "layer_types": kinds,
        "head_dim": whole["head_dim"],
        "windowed_head_dim": config.integer("head_dim", 2, MAX_HEAD_DIM),
        "num_key_value_heads": [
            whole["num_key_value_heads"] if kind == WHOLE else n_head_kv
            for kind in kinds
        ],
        "intermediate_size": [n_ff] * (n_layer - n_shared) + [n_ff * factor] * n_shared,
        "num_experts_per_tok": config.get("top_k_experts"),
        "has_experts": config.flag("enable_moe_block"),
        "has_own_embeddings": bool(config.get("hidden_size_per_layer_input")),
        # only between the tokens of an image
        "use_bidirectional_attention": direction not in (None, "vision"),
    }
    return JsonObject(config.path, values)


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has."""
    head_dim = config.integer("windowed_head_dim", 2, MAX_HEAD_DIM)
    for key in ("attention.key_length", "attention.value_length"):
        metadata.integer(f"{architecture}.{key}_swa", head_dim)
    metadata.integer(f"{architecture}.rope.dimension_count_swa", head_dim)
    n_shared = config.integer(_SHARED, 0, MAX_LAYERS, default=0)
    metadata.integer(f"{architecture}.attention.shared_kv_layers", n_shared)
    n = config.integer("hidden_size_per_layer_input", 0, MAX_EMBD, default=0)
    metadata.integer(f"{architecture}.embedding_length_per_layer_input", n)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks, and that files may have all the same."""
    kinds = config.items("layer_types")
    n_own = len(kinds) - config.integer(_SHARED, 0, MAX_LAYERS, default=0)
    has_no_values = config.flag("attention_k_eq_v")
    lacked = []
    for layer, kind in enumerate(kinds):
        parts: frozenset[str] = frozenset()
        if has_no_values and kind == WHOLE:
            parts = frozenset({"attn_v"})
        if layer >= n_own:
            parts = frozenset({"attn_k", "attn_v", "attn_k_norm"})
        lacked.append(parts)
    return tuple(lacked)


def rope_divisors(rope: JsonObject, head_dim: int) -> NDArray[np.float32]:
    """Compute the divisors of the frequencies of layers without a window.

    Rotations that are proportional leave the last pairs of dimensions as they are.

    Raises
    ------
    UnsupportedError
        Rotations of another kind, or scaled ones.
    """
    kind = rope.text("rope_type", rope.text("type", "default"))
    if kind not in ("default", "proportional"):
        rope.refuse("rope_type", "default or proportional", kind)
    if rope.get("factor") not in (None, 1):
        rope.refuse("factor", "1", rope.get("factor"))
    divisors = np.ones(head_dim // 2, np.float32)
    if kind == "proportional":
        share = rope.real("partial_rotary_factor", 0.0, 1.0, 1.0)
        divisors[int(share * head_dim // 2) :] = _NOT_ROTATED
    return divisors


def _kinds(config: JsonObject, n_layer: int) -> list[str]:
    """Return each layer's kind; the last has no window, whatever the file says."""
    kinds = config.items("layer_types")
    if not kinds:
        rules = family_rules(NAME)
        windowed = map(rules.has_window, range(n_layer))
        kinds = [WINDOWED if each else WHOLE for each in windowed]
    if len(kinds) != n_layer:
        config.fail("layer_types", f"{n_layer} names", kinds)
    return [*kinds[:-1], WHOLE]


def _of_whole_layers(config: JsonObject, kinds: list[str]) -> dict[str, int]:
    """Read the sizes of layers without a window.

    A `per_layer_config` stands for the keys of their own, and what it leaves out is as
    in layers with a window.
    """
    sizes: dict[str, Any] = {each: config.get(each) for each in _OVERRIDES}
    own_heads = config.get("num_global_key_value_heads")
    if (overrides := config.child("per_layer_config")) is not None:
        sizes |= _overrides(overrides, kinds) if overrides.values else {}
    else:
        sizes["head_dim"] = config.get("global_head_dim")
        if own_heads is not None and config.flag("attention_k_eq_v"):
            sizes["num_key_value_heads"] = own_heads
    found = JsonObject(config.path, sizes)
    return {
        "head_dim": found.integer("head_dim", 2, MAX_HEAD_DIM),
        "num_key_value_heads": found.integer("num_key_value_heads", 1, MAX_HEADS),
    }


def _overrides(overrides: JsonObject, kinds: list[str]) -> dict[str, Any]:
    """Read the sizes of layers without a window, which must all have the same.

    The layers' numbers are names, with as many digits as the last one's.
    """
    wanted = [str(layer) for layer, kind in enumerate(kinds) if kind == WHOLE]
    names = sorted(overrides.values, key=lambda name: (len(name), name))
    if sorted(name.lstrip("0") or "0" for name in names) != sorted(wanted):
        refused = f"the layers without a window, {', '.join(wanted)}"
        overrides.fail("layers", refused, ", ".join(names))
    first: dict[str, Any] | None = None
    for layer in names:
        of_layer = overrides.child(layer)
        values = {} if of_layer is None else of_layer.values
        if not values.keys() <= set(_OVERRIDES):
            overrides.refuse(layer, " and ".join(_OVERRIDES), ", ".join(values))
        if first is not None and values != first:
            overrides.refuse(layer, first, values)
        first = values
    return first or {}
