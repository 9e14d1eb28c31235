"""Keys of config.json under the names that most classes of transformers give them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeGuard

from llamacy.formats.hugging_face import (
    bailing_hybrid,
    encoders,
    jina_bert,
    kimi_delta,
    latent,
    modern_bert,
    nomic_bert,
)
from llamacy.formats.hugging_face.common_keys import WHOLE, WINDOWED, n_layers

_USUAL: Final[Mapping[str, Mapping[str, str]]] = {
    "GPT2LMHeadModel": {
        "n_embd": "hidden_size",
        "n_inner": "intermediate_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_positions": "max_position_embeddings",
        "activation_function": "hidden_act",
    },
    "FalconForCausalLM": {
        "ffn_hidden_size": "intermediate_size",
        "num_kv_heads": "num_key_value_heads",
        "activation": "hidden_act",
    },
    "GPTNeoXForCausalLM": {
        "rotary_pct": "partial_rotary_factor",
        "rotary_emb_base": "rope_theta",
    },
    "Glm4MoeForCausalLM": {
        "n_routed_experts": "num_experts",
        "attention_bias": "use_qkv_bias",  # there is none of the output
    },
    "Dots1ForCausalLM": {"n_routed_experts": "num_experts"},
    "DeepseekV2ForCausalLM": {"n_routed_experts": "num_experts"},
    "DeepseekV3ForCausalLM": {"n_routed_experts": "num_experts"},
    "Glm4MoeLiteForCausalLM": {"n_routed_experts": "num_experts"},
    "KimiLinearForCausalLM": kimi_delta.USUAL,
    "BailingHybridForCausalLM": kimi_delta.NAMES_OF_KEYS,
    "Mistral4ForCausalLM": {"n_routed_experts": "num_experts"},
    "Ernie4_5_MoeForCausalLM": {
        "moe_k": "num_experts_per_tok",
        "moe_num_experts": "num_experts",
        "moe_num_shared_experts": "n_shared_experts",
        "moe_layer_start_index": "first_k_dense_replace",
    },
    "HunYuanMoEV1ForCausalLM": {"moe_topk": "num_experts_per_tok"},
    "NemotronHForCausalLM": {
        "layer_norm_epsilon": "rms_norm_eps",
        "mlp_hidden_act": "hidden_act",
        "n_routed_experts": "num_experts",
    },
    "MambaForCausalLM": {"layer_norm_epsilon": "rms_norm_eps"},
    "FalconMambaForCausalLM": {"layer_norm_epsilon": "rms_norm_eps"},
    "Mamba2ForCausalLM": {"layer_norm_epsilon": "rms_norm_eps"},
    "Lfm2ForCausalLM": {"norm_eps": "rms_norm_eps"},
    "Lfm2BidirectionalModel": {"norm_eps": "rms_norm_eps"},
    "Lfm3ForCausalLM": {"norm_eps": "rms_norm_eps"},
    "Lfm2MoeForCausalLM": {
        "norm_eps": "rms_norm_eps",
        "num_dense_layers": "first_k_dense_replace",
    },
    "Cohere2MoeForCausalLM": {"num_shared_experts": "n_shared_experts"},
    "LagunaForCausalLM": {"num_attention_heads_per_layer": "num_attention_heads"},
    "PhimoeForCausalLM": {"rms_norm_eps": "layer_norm_eps"},  # of layer norms
    **encoders.USUAL_KEYS,
}
"""Usual names of keys by those of a class."""

_PERIOD: Final = 4  # of the layers of Granite that see all tokens
_N_FF: Final = 4  # widths of the residual that a network has where no key says it


def with_usual_keys(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a class's keys under their usual names, with those that follow from them.

    Parameters
    ----------
    values : dict
        The keys that the class reads, with its defaults.
    name : str
        The class.
    """
    usual = dict(values)
    for theirs, ours in _USUAL.get(name, {}).items():
        value = usual.pop(theirs)
        if value is not None or ours not in usual:
            usual[ours] = value
    width = usual.get("hidden_size")
    if usual.get("intermediate_size") is None and isinstance(width, int):
        usual["intermediate_size"] = _N_FF * width
    if name in encoders.FAMILIES:
        return encoders.with_computed_keys(usual, name)
    return _COMPUTED[name](usual) if name in _COMPUTED else usual


def _falcon(values: dict[str, Any]) -> dict[str, Any]:
    """Add the numbers of a layer's heads of keys, and whether it has two norms."""
    is_new = bool(values.get("new_decoder_architecture"))
    n_norms = values.pop("num_ln_in_parallel_attn")
    values["has_two_norms"] = is_new and n_norms != 1
    if not is_new:
        is_shared = bool(values.get("multi_query"))
        values["num_key_value_heads"] = (
            1 if is_shared else values.get("num_attention_heads")
        )
    return values


def _with_shared_experts(values: dict[str, Any]) -> dict[str, Any]:
    """Say whether there are experts that all tokens go through."""
    values["has_shared_experts"] = bool(values.get("n_shared_experts"))
    return values


def _dots1(values: dict[str, Any]) -> dict[str, Any]:
    """Say that the window is on, which reaches layers from a number on."""
    values["use_sliding_window"] = values.get("sliding_window") is not None
    return _with_shared_experts(values)


def _hunyuan(values: dict[str, Any]) -> dict[str, Any]:
    """Take one number for those of all layers, if they are alike."""
    for key in ("num_experts", "num_experts_per_tok"):
        found = values.get(key)
        if (
            isinstance(found, list)
            and found
            and all(each == found[0] for each in found)
        ):
            values[key] = found[0]
    return values


def _cohere2moe(values: dict[str, Any]) -> dict[str, Any]:
    """Tell apart the widths of experts and of dense layers."""
    values["moe_intermediate_size"] = values.get("intermediate_size")
    of_dense = values.pop("prefix_dense_intermediate_size")
    values["intermediate_size"] = of_dense or values["moe_intermediate_size"]
    return _with_shared_experts(values)


def _exaone4(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out a window that is null, and write out a pattern of letters."""
    kinds, pattern = values.get("layer_types"), values["sliding_window_pattern"]
    n_layer = n_layers(values)
    if not kinds and isinstance(pattern, str) and pattern and n_layer:
        letters = [pattern[layer % len(pattern)] for layer in range(n_layer)]
        values["layer_types"] = [WINDOWED if is_l == "L" else WHOLE for is_l in letters]
        values["sliding_window_pattern"] = None
    is_windowed = isinstance(kinds, list) and WINDOWED in kinds
    if values["sliding_window"] is None and not is_windowed:
        del values["sliding_window"], values["sliding_window_pattern"]
        values["layer_types"] = None
    return values


def _minicpm(values: dict[str, Any]) -> dict[str, Any]:
    """Add the scales of the residual and of logits."""
    depth, base = values.get("scale_depth"), values.get("dim_model_base")
    n_layer, n_embd = values.get("num_hidden_layers"), values.get("hidden_size")
    if _is_positive(depth) and _is_positive(n_layer):
        values["residual_multiplier"] = depth / math.sqrt(n_layer)
    if _is_positive(n_embd) and _is_positive(base):
        values["logits_scaling"] = n_embd / base
    return values


def _is_positive(value: object) -> TypeGuard[int | float]:
    return type(value) in (int, float) and bool(value > 0)  # type: ignore[operator]


def _laguna(values: dict[str, Any]) -> dict[str, Any]:
    """Write out which layers are dense, and that all see all tokens, by default."""
    if n_layer := n_layers(values):
        if values["layer_types"] is None:
            values["layer_types"] = [WHOLE] * n_layer
        if values["mlp_layer_types"] is None:
            values["mlp_layer_types"] = ["dense", *["sparse"] * (n_layer - 1)]
    values["moe_router_logit_softcapping"] = (
        values["moe_router_logit_softcapping"] or None
    )
    values["norm_topk_prob"] = True
    return values


def _mellum(values: dict[str, Any]) -> dict[str, Any]:
    """Write out that no layer has a window where a file does not say."""
    n_layer = n_layers(values)
    if values["layer_types"] is None and n_layer:
        values["layer_types"] = [WHOLE] * n_layer
    return values


def _granitemoe(values: dict[str, Any]) -> dict[str, Any]:
    """Add whether there is an expert that all rows go through."""
    values["has_shared_expert"] = bool(values.get("shared_intermediate_size"))
    return values


def _qwen35moe(values: dict[str, Any]) -> dict[str, Any]:
    """Add a width of dense layers, of which there are none."""
    values["intermediate_size"] = values.get("moe_intermediate_size")
    return values


def _granite_swa(values: dict[str, Any]) -> dict[str, Any]:
    """Write out which layers have a window where a file does not say."""
    n_layer = n_layers(values)
    if values["layer_types"] is None and n_layer:
        kinds = [WINDOWED if layer % _PERIOD else WHOLE for layer in range(n_layer)]
        values["layer_types"] = kinds
    return values


_COMPUTED: Final[Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "FalconForCausalLM": _falcon,
    "Glm4MoeForCausalLM": _with_shared_experts,
    "Dots1ForCausalLM": _dots1,
    "DeepseekV2ForCausalLM": latent.with_v2_keys,
    "DeepseekV3ForCausalLM": latent.with_v3_keys,
    "Glm4MoeLiteForCausalLM": latent.with_v3_keys,
    "YoutuForCausalLM": latent.with_latent_keys,
    "KimiLinearForCausalLM": kimi_delta.with_kimi_keys,
    "BailingHybridForCausalLM": bailing_hybrid.with_own_keys,
    "Mistral4ForCausalLM": latent.with_mistral4_keys,
    "Ernie4_5_MoeForCausalLM": _with_shared_experts,
    "HunYuanMoEV1ForCausalLM": _hunyuan,
    "Cohere2MoeForCausalLM": _cohere2moe,
    "Exaone4ForCausalLM": _exaone4,
    "MiniCPMForCausalLM": _minicpm,
    "LagunaForCausalLM": _laguna,
    "MellumForCausalLM": _mellum,
    "GraniteMoeForCausalLM": _granitemoe,
    "GraniteMoeSharedForCausalLM": _granitemoe,
    "GraniteSWAForCausalLM": _granite_swa,
    "Qwen3_5MoeForCausalLM": _qwen35moe,
    **dict.fromkeys(modern_bert.FAMILIES, modern_bert.with_computed_keys),
    **dict.fromkeys(nomic_bert.FAMILIES, nomic_bert.with_computed_keys),
    **jina_bert.COMPUTED,
    "Qwen3_5MoeForConditionalGeneration": _qwen35moe,
    "GraniteMoeSWAForCausalLM": lambda values: _granite_swa(_granitemoe(values)),
}
