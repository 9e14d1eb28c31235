"""Kimi Delta Attention in Hugging Face's form, beside latent attention: Kimi Linear.

`linear_attention` stands for layers with the delta rule there. Both kinds of layers
have matrices of queries and of results under the same names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from llamacy.formats.gguf.limits import MAX_HEAD_DIM, MAX_HEADS, MAX_LAYERS
from llamacy.formats.hugging_face import latent
from llamacy.formats.hugging_face.common_keys import RMS, WHOLE, Defaults
from llamacy.formats.hugging_face.family import (
    ExpertNames,
    Family,
    Form,
    Mixture,
)
from llamacy.formats.hugging_face.layer_names import EXPERTS, FEED_FORWARD
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("kimi-linear",)
RULE: Final = "linear_attention"
"""The kind of layers with the delta rule, in `layer_types`."""

_RECURRENT: Final = "recurrent_layers"
_SIZES: Final = "linear_attn_config"
_OF_SIZES: Final = (
    *("head_dim", "num_heads", "short_conv_kernel_size"),
    *("full_attn_layers", "kda_layers"),
)
_PERIOD: Final = 4  # of layers that attend, the first one apart
MAX_KERNEL: Final = 1 << 8

_CONVOLUTIONS: Final = {
    f"self_attn.{part}_conv1d": f"ssm_conv1d_{part}" for part in "qkv"
}
KERNELS: Final[Mapping[str, Form]] = dict.fromkeys(_CONVOLUTIONS.values(), "kernel")
"""Forms of convolutions."""

DELTA_RULE: Final = {
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    **_CONVOLUTIONS,
    "self_attn.dt_bias": "ssm_dt",
    "self_attn.A_log": "ssm_a",
    "self_attn.b_proj": "ssm_beta",
    "self_attn.o_norm": "ssm_norm",
}
"""Parts of layers with the delta rule, but for those of decays and gates."""

_NARROW: Final = {
    f"self_attn.{part}_{place}_proj": f"ssm_{part}_{place}"
    for part in "fg"
    for place in "ab"
}
_OF_BOTH: Final = ("attn_q", "attn_output")
_Q_LATENT: Final = ("attn_q_a", "attn_q_a_norm", "attn_q_b")
_MIXTURE: Final = {
    "block_sparse_moe.gate": "ffn_gate_inp",
    "block_sparse_moe.gate.e_score_correction_bias": "exp_probs_b",
    "block_sparse_moe.shared_experts.gate_proj": "ffn_gate_shexp",
    "block_sparse_moe.shared_experts.up_proj": "ffn_up_shexp",
    "block_sparse_moe.shared_experts.down_proj": "ffn_down_shexp",
}
_SHARED: Final = ("ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp")
_KIMI_LINEAR: Final = Family(
    architecture="kimi-linear",
    layer={
        "input_layernorm": "attn_norm",
        **latent.ATTENTION,
        **DELTA_RULE,
        **_NARROW,
        "post_attention_layernorm": "ffn_norm",
        **FEED_FORWARD,
        **_MIXTURE,
    },
    # of transformers' modules, which saves networks under the name of mixtures
    aliases={
        **{each.replace("mlp", "block_sparse_moe"): each for each in FEED_FORWARD},
        **{each.replace("block_sparse_moe", "mlp"): each for each in _MIXTURE},
        **{
            f"self_attn.forget_gate.{each}": f"self_attn.{each}"
            for each in ("f_a_proj", "f_b_proj", "dt_bias", "A_log")
        },
    },
    present=dict.fromkeys(_SHARED, ("has_shared_experts", True)),
    forms={**KERNELS, "ssm_a": "decay"},
    mixture=Mixture(
        names=(ExpertNames("block_sparse_moe.experts", "w1", "w3", "w2"), EXPERTS),
        width="moe_intermediate_size",
        normalized="norm_topk_prob",
        scale="routed_scaling_factor",
        gating="scoring_func",
        numbers=latent.NUMBERS,
    ),
    fixed_flags={"mla_use_nope": True},
)
FAMILIES: Final[Mapping[str, Family]] = {"KimiLinearForCausalLM": _KIMI_LINEAR}
"""The families of this file by the names of their classes."""

NAMES_OF_KEYS: Final[Mapping[str, str]] = {
    "model_max_length": "max_position_embeddings",
    "num_expert_group": "n_group",
    "num_experts_per_token": "num_experts_per_tok",
    "num_shared_experts": "n_shared_experts",
    "moe_renormalize": "norm_topk_prob",
}
"""Usual names of keys by those in the makers' files; transformers reads both."""

USUAL: Final[Mapping[str, str]] = {
    **NAMES_OF_KEYS,
    "moe_router_activation_func": "scoring_func",
}
"""Usual names of the keys of Kimi Linear."""

_KIMI_KEYS: Final[Defaults] = {
    **RMS,
    "vocab_size": 163840,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 27,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 1048576,
    "rms_norm_eps": 1e-5,
    "attention_bias": False,
    "kv_lora_rank": 512,
    "q_lora_rank": None,
    "qk_rope_head_dim": 64,
    "qk_nope_head_dim": 128,
    "v_head_dim": 128,
    "moe_intermediate_size": 1024,
    "num_experts_per_tok": 8,
    "num_local_experts": 256,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 2.446,
    "norm_topk_prob": True,
    "mlp_layer_types": None,
    "layer_types": None,
    "linear_head_dim": 128,
    "linear_num_heads": 32,
    "linear_conv_kernel_dim": 4,
    # of Moonshot's own files
    _SIZES: None,
    "moe_router_activation_func": "sigmoid",
    "moe_layer_freq": 1,
    "first_k_dense_replace": 1,
    "use_grouped_topk": True,
    "mla_use_nope": True,
    "num_nextn_predict_layers": 0,
}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    "KimiLinearForCausalLM": {
        **_KIMI_KEYS,
        **{theirs: _KIMI_KEYS[ours] for theirs, ours in NAMES_OF_KEYS.items()},
    }
}
"""Keys and defaults of the classes: see `classes`."""


def with_kimi_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Add keys that follow from others; nothing is rotated, whatever a file says."""
    values |= {"rope_theta": 1e4, "rope_scaling": None, "rope_parameters": None}
    return latent.with_latent_keys(values)


def with_sizes(config: JsonObject) -> JsonObject:
    """Return config.json with the layers' kinds, as other families have them.

    Raises
    ------
    FormatError
        A value is missing or wrong.
    UnsupportedError
        A layer of an unknown kind, none that attends, other numbers of heads in layers
        of one kind, or a way to choose experts that is not transformers'.
    """
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    own, kinds = _own_sizes(config), config.items("layer_types")
    if not kinds:
        kinds = _kinds_in(own, n_layer) if own else _kinds_by_rule(n_layer)
    if (gating := config.text("scoring_func")) != "sigmoid":
        config.refuse("moe_router_activation_func", "sigmoid", gating)
    if (step := config.integer("moe_layer_freq", 1, MAX_LAYERS)) != 1:
        config.refuse("moe_layer_freq", "1, experts in each layer", step)
    if config.get("n_group") != 1 and not config.flag("use_grouped_topk"):
        config.refuse("use_grouped_topk", "true, with groups", False)
    return with_kinds(config, kinds, _sizes(config, own))


def with_kinds(config: JsonObject, kinds: list[Any], more: Defaults) -> JsonObject:
    """Return config.json with the kinds of its layers, and with more keys.

    Raises
    ------
    FormatError
        There is not one kind for each layer.
    UnsupportedError
        A layer of an unknown kind, or all layers of one kind.
    """
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    if len(kinds) != n_layer:
        config.fail("layer_types", f"{n_layer} names", kinds)
    for kind in kinds:
        if kind not in (WHOLE, RULE):
            config.refuse("layer_types", f"{WHOLE} or {RULE}", kind)
    for wanted in (WHOLE, RULE):
        if wanted not in kinds:
            config.refuse("layer_types", f"{wanted} in some layers", kinds[0])
    values = config.values | {
        _RECURRENT: [kind == RULE for kind in kinds],
        "layer_types": [WHOLE] * n_layer,
        "num_key_value_heads": [int(kind == WHOLE) for kind in kinds],
        **more,
    }
    return JsonObject(config.path, values)


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that only families with Kimi Delta Attention have."""
    for key, theirs in (
        ("kda.head_dim", "linear_head_dim"),
        ("ssm.conv_kernel", "linear_conv_kernel_dim"),
    ):
        metadata.integer(f"{architecture}.{key}", config.values[theirs])


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks: those of the other kind of mixer."""
    return lacked(config, (DELTA_RULE | _NARROW).values(), ())


def lacked(
    config: JsonObject, of_rule: Iterable[str], of_gates: Iterable[str]
) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks.

    Parameters
    ----------
    config : JsonObject
        config.json, with the layers' kinds.
    of_rule : iterable of str
        The parts of layers with the delta rule.
    of_gates : iterable of str
        Parts of latent attention that not all families have.
    """
    of_latents = {*latent.ATTENTION.values(), *of_gates}.difference(_OF_BOTH)
    other = ("attn_q",) if config.flag("has_q_latent") else _Q_LATENT
    return tuple(
        frozenset(of_latents if is_recurrent else (*of_rule, *other))
        for is_recurrent in config.items(_RECURRENT)
    )


def _own_sizes(config: JsonObject) -> JsonObject | None:
    """Return the object about layers with the delta rule; None without one.

    Raises
    ------
    UnsupportedError
        It has a key that would change the model in an unknown way.
    """
    own = config.child(_SIZES)
    if own is None:
        return None
    for key, value in own.values.items():
        if value and key not in _OF_SIZES:
            own.refuse(key, "none", value)
    return own


def _kinds_in(own: JsonObject, n_layer: int) -> list[str]:
    """Return the kinds of layers whose numbers, from 1, are in two lists."""
    attending, recurrent = (
        own.items(key) for key in ("full_attn_layers", "kda_layers")
    )
    numbers = [each for each in (*attending, *recurrent) if type(each) is int]
    if sorted(numbers) != [*range(1, n_layer + 1)]:
        wanted = f"with full_attn_layers, each of the numbers 1 to {n_layer}"
        own.fail("kda_layers", wanted, recurrent)
    return [WHOLE if layer + 1 in attending else RULE for layer in range(n_layer)]


def _kinds_by_rule(n_layer: int) -> list[str]:
    return [
        WHOLE if layer and layer % _PERIOD == 0 else RULE for layer in range(n_layer)
    ]


def _sizes(config: JsonObject, own: JsonObject | None) -> dict[str, int]:
    """Return the sizes of the delta rule, as the object has them, or else the class."""
    sizes = {}
    for theirs, key, least, most in (
        ("head_dim", "linear_head_dim", 1, MAX_HEAD_DIM),
        ("num_heads", "linear_num_heads", 1, MAX_HEADS),
        ("short_conv_kernel_size", "linear_conv_kernel_dim", 2, MAX_KERNEL),
    ):
        holder, name = (own, theirs) if own and theirs in own else (config, key)
        sizes[key] = holder.integer(name, least, most)
    n_head, found = config.get("num_attention_heads"), sizes["linear_num_heads"]
    if found != n_head:  # GGUF has one number
        config.refuse("linear_num_heads", f"{n_head}, as num_attention_heads", found)
    return sizes
