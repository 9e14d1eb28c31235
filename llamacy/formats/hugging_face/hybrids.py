"""Families that scan as Mamba-2 does, in Hugging Face's form.

Granite 4 H scans in place of attention in most of its layers, Falcon-H1 beside it in
all, Nemotron-H has layers of one part each, and Mamba-2 nothing else. GGUF's `ssm_a` is
stored as the logarithm of its negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf.limits import (
    MAX_EMBD,
    MAX_FF,
    MAX_HEAD_DIM,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_SCALE,
    MIN_SCALE,
)
from llamacy.formats.hugging_face.common_keys import (
    LLAMA,
    LLAMA_UNBIASED_MLP,
    MODEL,
    WHOLE,
    Defaults,
)
from llamacy.formats.hugging_face.dense_classes import GRANITE_SCALES
from llamacy.formats.hugging_face.family import Family, Form
from llamacy.formats.hugging_face.layer_names import ATTENTION
from llamacy.formats.hugging_face.mixture_families import MIXTURE_FAMILIES
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

Factors: TypeAlias = NDArray[np.float32]

NAMES: Final = ("granitehybrid", "falcon-h1", "nemotron_h", "mamba2")
_FALCON: Final = "mamba_d_ssm"  # a key that no other class has
_RECURRENT: Final = "recurrent_layers"
_LIMIT: Final = "time_step_limit"
_INFINITY: Final = {"__float__": "Infinity"}  # as transformers 5 writes it
_N_CTX: Final = 1 << 20  # of Mamba-2, which names none; as llama.cpp's converter has it
_SCANS: Final = ("mamba", "linear_attention")
_ATTENDS: Final = ("attention", WHOLE)
_NETWORKS: Final = ("mlp",)
_KINDS_OF_LETTERS: Final = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}

_SCAN: Final = {
    "in_proj": "ssm_in",
    "conv1d": "ssm_conv1d",
    "dt_bias": "ssm_dt",
    "A_log": "ssm_a",
    "D": "ssm_d",
    "norm": "ssm_norm",
    "out_proj": "ssm_out",
}
_FORMS: Final[Mapping[str, Form]] = {
    "ssm_conv1d": "squeezed",
    "ssm_a": "decay",
    "ssm_d": "column",
    "ssm_norm": "by_scan_group",
}
_NETWORK: Final = {"mixer.up_proj": "ffn_up", "mixer.down_proj": "ffn_down"}
_OF_SCAN: Final = frozenset(_SCAN.values())
_OF_ATTENTION: Final = frozenset(ATTENTION.values())
_OF_NETWORK: Final = frozenset(_NETWORK.values())
_BACKBONE: Final = {
    "backbone.layers.": "model.layers.",
    "backbone.embeddings.": "model.embed_tokens.",
    "backbone.norm_f.": "model.norm.",
}


def _scan_in(module: str) -> dict[str, str]:
    return {f"{module}.{theirs}": ours for theirs, ours in _SCAN.items()}


_GRANITEMOE: Final = MIXTURE_FAMILIES["GraniteMoeSharedForCausalLM"]
assert _GRANITEMOE.mixture is not None
_GRANITE: Final = replace(
    _GRANITEMOE,
    architecture="granitehybrid",
    layer={
        "input_layernorm": "attn_norm",
        **_scan_in("mamba"),
        **{k: v for k, v in _GRANITEMOE.layer.items() if k != "input_layernorm"},
    },
    present={},
    forms=_FORMS,
    biased=_OF_ATTENTION | {"ssm_conv1d"},
    bias_keys={"mamba_conv_bias": ("ssm_conv1d",)},
    fixed_flags={"mamba_proj_bias": False},
    mixture=replace(_GRANITEMOE.mixture, switch="has_experts"),
)
_DENSE: Final = {
    "shared_mlp.input_linear": "ffn_up",
    "shared_mlp.output_linear": "ffn_down",
}
_GRANITE_H: Final = replace(
    _GRANITE,
    dense=replace(
        _GRANITE,
        layer={
            **{
                theirs: ours
                for theirs, ours in _GRANITE.layer.items()
                if ours != "ffn_gate_inp" and theirs not in _DENSE
            },
            **_DENSE,
        },
        halves={"ffn_up": "ffn_gate"},
    ),
)
_FALCON_H1: Final = Family(
    architecture="falcon-h1",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        **_scan_in("mamba"),
        "pre_ff_layernorm": "ffn_norm",
        "feed_forward.gate_proj": "ffn_gate",
        "feed_forward.up_proj": "ffn_up",
        "feed_forward.down_proj": "ffn_down",
    },
    renamed={"model.final_layernorm.": "model.norm."},
    present={"ssm_norm": ("mamba_rms_norm", True)},
    forms={**_FORMS, "ffn_norm": "bare"},
    biased=frozenset({"ssm_conv1d"}),
    bias_keys={"mamba_conv_bias": ("ssm_conv1d",)},
    fixed_flags=dict.fromkeys(
        ("attention_bias", "mlp_bias", "projectors_bias", "mamba_proj_bias"), False
    ),
)
_NEMOTRON_H: Final = Family(
    architecture="nemotron_h",
    layer={
        "norm": "attn_norm",
        **_scan_in("mixer"),
        **{
            theirs.replace("self_attn", "mixer"): ours
            for theirs, ours in ATTENTION.items()
        },
        **_NETWORK,
    },
    renamed=_BACKBONE,
    forms=_FORMS,
    biased=_OF_ATTENTION | _OF_NETWORK | {"ssm_conv1d"},
    bias_keys={"use_conv_bias": ("ssm_conv1d",)},
    fixed_flags={"mamba_proj_bias": False, "use_bias": False},
    activations=("relu2",),
    refused=("sliding_window",),
)
_MAMBA2: Final = Family(
    architecture="mamba2",
    layer={"norm": "attn_norm", **_scan_in("mixer")},
    renamed=_BACKBONE,
    forms=_FORMS,
    biased=frozenset({"ssm_conv1d"}),
    bias_keys={"use_conv_bias": ("ssm_conv1d",)},
    fixed_flags={"use_bias": False},
)
FAMILIES: Final[Mapping[str, Family]] = {
    "GraniteMoeHybridForCausalLM": _GRANITE_H,
    "FalconH1ForCausalLM": _FALCON_H1,
    "NemotronHForCausalLM": _NEMOTRON_H,
    "Mamba2ForCausalLM": _MAMBA2,
}
"""The families of this file by the names of their classes."""

_IN_MAMBA: Final[Defaults] = {
    "mamba_n_heads": 128,
    "mamba_n_groups": 1,
    "mamba_d_state": 256,
    "mamba_d_head": 64,
    "mamba_d_conv": 4,
    "mamba_expand": 2,
    "mamba_chunk_size": 256,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
    _LIMIT: [0.0, math.inf],
}
_STEPS: Final[Defaults] = {  # of training, but for the limit
    "time_step_min": 0.001,
    "time_step_max": 0.1,
    "time_step_floor": 1e-4,
    _LIMIT: [0.0, math.inf],
}
_EXPERTS: Final[Defaults] = {
    "n_routed_experts": 8,
    "n_shared_experts": 1,
    "moe_intermediate_size": 7688,
    "moe_shared_expert_intermediate_size": 7688,
    "moe_latent_size": None,
    "moe_shared_expert_overlap": True,
    "num_experts_per_tok": 2,
    "routed_scaling_factor": 1.0,
    "n_group": 1,
    "topk_group": 1,
    "norm_topk_prob": True,
}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    "GraniteMoeHybridForCausalLM": {
        **LLAMA_UNBIASED_MLP,
        **GRANITE_SCALES,
        **_IN_MAMBA,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "shared_intermediate_size": 1024,
        "position_embedding_type": None,
        "layer_types": None,
    },
    "FalconH1ForCausalLM": {
        **LLAMA,
        **_IN_MAMBA,
        "vocab_size": 128000,
        "intermediate_size": 14336,
        "num_key_value_heads": 8,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "mamba_d_head": 8,
        _FALCON: 1024,
        "mamba_norm_before_gate": True,
        "mamba_rms_norm": False,
        "projectors_bias": False,
        "num_logits_to_keep": 1,
        **dict.fromkeys(
            ("embedding_multiplier", "lm_head_multiplier", "key_multiplier"), 1.0
        ),
        **dict.fromkeys(("attention_in_multiplier", "attention_out_multiplier"), 1.0),
        **dict.fromkeys(("ssm_in_multiplier", "ssm_out_multiplier"), 1.0),
        "mlp_multipliers": [1.0, 1.0],
        "ssm_multipliers": [1.0, 1.0, 1.0, 1.0, 1.0],
    },
    "NemotronHForCausalLM": {
        **MODEL,
        **_STEPS,
        "vocab_size": 131072,
        "hidden_size": 4096,
        "intermediate_size": 21504,
        "num_hidden_layers": None,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 4096,
        "layer_norm_epsilon": 1e-5,
        "layers_block_type": None,
        "hybrid_override_pattern": None,
        "hidden_act": None,
        "mlp_hidden_act": "relu2",
        "mamba_hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "use_bias": False,
        "use_conv_bias": True,
        "mamba_proj_bias": False,
        "mamba_num_heads": 128,
        "mamba_head_dim": 64,
        "ssm_state_size": 128,
        "n_groups": 8,
        "conv_kernel": 4,
        "expand": 2,
        "sliding_window": None,
        # which change nothing without experts, and outside of training
        "chunk_size": 128,
        "use_mamba_kernels": True,
        "mamba_ssm_cache_dtype": "float32",
        "num_logits_to_keep": 1,
        "rescale_prenorm_residual": True,
        "residual_in_fp32": False,
        "mtp_layers_block_type": ["full_attention", "moe"],
        **_EXPERTS,
    },
    "Mamba2ForCausalLM": {
        **MODEL,
        **_STEPS,
        "vocab_size": 32768,
        "hidden_size": 4096,
        "num_hidden_layers": 64,
        "layer_norm_epsilon": 1e-5,
        "num_heads": 128,
        "head_dim": 64,
        "state_size": 128,
        "n_groups": 8,
        "conv_kernel": 4,
        "expand": 2,
        "use_bias": False,
        "use_conv_bias": True,
        # which change nothing outside of training
        "time_step_rank": 256,
        "chunk_size": 256,
        "rescale_prenorm_residual": False,
        "residual_in_fp32": True,
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
        A layer of an unknown kind, or steps that are limited.
    """
    limit = config.get(_LIMIT)
    if limit is not None and limit not in ([0, math.inf], [0, _INFINITY]):
        config.refuse(_LIMIT, [0, math.inf], limit)
    if _FALCON in config.values:
        return JsonObject(config.path, config.values | _falcon(config))
    if "mamba_n_heads" in config.values:
        return JsonObject(config.path, config.values | _granite(config))
    if "mamba_num_heads" in config.values:
        return JsonObject(config.path, config.values | _nemotron(config))
    return JsonObject(config.path, config.values | _mamba2(config))


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has."""
    for key, number in config.items("scan"):
        metadata.integer(f"{architecture}.ssm.{key}", number)
    if "position_embedding_type" in config.values:
        kind = config.get("position_embedding_type")
        metadata.flag(f"{architecture}.rope.scaling.finetuned", kind == "rope")
    if architecture == "nemotron_h":  # llama.cpp reads it, for norms of another kind
        eps = config.real("rms_norm_eps", 1e-37, 1.0)
        metadata.real(f"{architecture}.attention.layer_norm_epsilon", eps)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks."""
    if _FALCON in config.values:
        n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
        return (frozenset(),) * n_layer
    of_kinds = {
        **dict.fromkeys(_SCANS, _OF_ATTENTION),
        **dict.fromkeys(_ATTENDS, _OF_SCAN),
    }
    if "mamba_num_heads" in config.values:  # each layer has one part
        of_kinds = {
            **dict.fromkeys(_SCANS, _OF_ATTENTION | _OF_NETWORK),
            **dict.fromkeys(_ATTENDS, _OF_SCAN | _OF_NETWORK),
            **dict.fromkeys(_NETWORKS, _OF_SCAN | _OF_ATTENTION),
        }
    return tuple(of_kinds[kind] for kind in config.items("kinds"))


def factors(config: JsonObject) -> dict[str, Factors]:
    """Return what Falcon-H1 multiplies its matrices by, as GGUF's have been.

    Returns
    -------
    dict of str to float32, (1,) or (n_rows,)
        By the GGUF names of parts.
    """
    if _FALCON not in config.values:
        return {}
    scan = dict(config.items("scan"))
    n_keys = scan["group_count"] * scan["state_size"]
    widths = (scan["inner_size"],) * 2, (n_keys,) * 2, (scan["time_step_rank"],)
    n_rows = [n for each in widths for n in each]
    of_network = _multipliers(config, "mlp_multipliers", 2)
    of_scan = _multipliers(config, "ssm_multipliers", len(n_rows))
    taken, given = (
        _multiplier(config, f"attention_{way}_multiplier") for way in ("in", "out")
    )
    found = {
        "token_embd": [_multiplier(config, "embedding_multiplier")],
        "attn_q": [taken],
        "attn_k": [taken * _multiplier(config, "key_multiplier")],
        "attn_v": [taken],
        "attn_output": [given],
        "ssm_in": np.repeat(of_scan, n_rows) * _multiplier(config, "ssm_in_multiplier"),
        "ssm_out": [_multiplier(config, "ssm_out_multiplier")],
        "ffn_gate": of_network[:1],
        "ffn_down": of_network[1:],
        "output": [_multiplier(config, "lm_head_multiplier")],
    }
    if config.flag("tie_word_embeddings") and found["token_embd"] != found["output"]:
        wanted = "false, as embedding_multiplier and lm_head_multiplier differ"
        config.refuse("tie_word_embeddings", wanted, True)
    arrays = {part: np.array(values, np.float32) for part, values in found.items()}
    return {part: array for part, array in arrays.items() if (array != 1).any()}


def _multiplier(config: JsonObject, key: str) -> float:
    return config.real(key, MIN_SCALE, MAX_SCALE)


def _multipliers(config: JsonObject, key: str, n: int) -> list[float]:
    values = config.items(key)
    if len(values) != n:
        config.fail(key, f"{n} numbers", values)
    each = JsonObject(config.path, dict(zip(map(str, range(n)), values, strict=True)))
    return [_multiplier(each, str(number)) for number in range(n)]


def _falcon(config: JsonObject) -> dict[str, Any]:
    if config.flag("mamba_rms_norm") and config.flag("mamba_norm_before_gate"):
        config.refuse("mamba_norm_before_gate", "false, with mamba_rms_norm", True)
    if _FALCON in config:
        return {"scan": _scan_in_mamba(config, config.integer(_FALCON, 1, MAX_FF))}
    return {"scan": _scan_in_mamba(config, _expanded(config))}


def _expanded(config: JsonObject) -> int:
    n_embd = config.integer("hidden_size", 1, MAX_EMBD)
    return n_embd * config.integer("mamba_expand", 1, 64)


def _scan_in_mamba(config: JsonObject, width: int) -> list[tuple[str, int]]:
    """Return GGUF's sizes of a scan whose keys begin with `mamba_`."""
    n_head = config.integer("mamba_n_heads", 1, MAX_HEADS)
    head_dim = width // n_head
    if config.get("mamba_d_head") not in ("auto", None):
        head_dim = config.integer("mamba_d_head", 1, MAX_HEAD_DIM)
    if n_head * head_dim != width:
        config.fail("mamba_n_heads", f"{width} / {head_dim}", n_head)
    return [
        ("conv_kernel", config.integer("mamba_d_conv", 2, 1 << 8)),
        ("state_size", config.integer("mamba_d_state", 1, MAX_HEAD_DIM)),
        ("group_count", config.integer("mamba_n_groups", 1, MAX_HEADS)),
        ("inner_size", width),
        ("time_step_rank", n_head),
    ]


def _granite(config: JsonObject) -> dict[str, Any]:
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    kinds = config.items("layer_types") or ["mamba"] * n_layer
    _check_kinds(config, "layer_types", kinds, n_layer, (*_SCANS, *_ATTENDS))
    key = "num_key_value_heads"
    if key not in config:
        key = "num_attention_heads"
    n_head_kv = config.integer(key, 1, MAX_HEADS)
    has_experts = config.get("num_local_experts") not in (None, 0)
    n_ff = "intermediate_size" if has_experts else "shared_intermediate_size"
    return {
        "kinds": kinds,
        "layer_types": None,
        _RECURRENT: [kind in _SCANS for kind in kinds],
        "num_key_value_heads": [n_head_kv if kind in _ATTENDS else 0 for kind in kinds],
        "has_experts": has_experts,
        "intermediate_size": config.integer(n_ff, 1, MAX_FF),
        "scan": _scan_in_mamba(config, _expanded(config)),
    }


def _nemotron(config: JsonObject) -> dict[str, Any]:
    key = "layers_block_type"
    kinds = config.items(key) if key in config else []
    if not kinds:
        letters = config.text("hybrid_override_pattern")
        kinds = [_KINDS_OF_LETTERS.get(letter, letter) for letter in letters]
    known = (*_SCANS, *_ATTENDS, *_NETWORKS)
    _check_kinds(config, key, kinds, len(kinds), known)
    if config.text("mamba_hidden_act", "silu") != "silu":
        config.refuse("mamba_hidden_act", "silu", config.get("mamba_hidden_act"))
    n_head_kv = config.integer("num_key_value_heads", 1, MAX_HEADS)
    n_ff = config.integer("intermediate_size", 1, MAX_FF)
    return {
        "kinds": kinds,
        "num_hidden_layers": len(kinds),
        _RECURRENT: [kind in _SCANS for kind in kinds],
        "num_key_value_heads": [n_head_kv if kind in _ATTENDS else 0 for kind in kinds],
        "intermediate_size": [n_ff if kind in _NETWORKS else 0 for kind in kinds],
        "scan": _scan_sizes(
            config, "mamba_num_heads", "mamba_head_dim", "ssm_state_size"
        ),
    }


def _mamba2(config: JsonObject) -> dict[str, Any]:
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    return {
        "kinds": [_SCANS[0]] * n_layer,
        _RECURRENT: [True] * n_layer,
        "max_position_embeddings": _N_CTX,
        "scan": _scan_sizes(config, "num_heads", "head_dim", "state_size"),
    }


def _scan_sizes(
    config: JsonObject, heads: str, head_dim: str, state: str
) -> list[tuple[str, int]]:
    n_head = config.integer(heads, 1, MAX_HEADS)
    width = n_head * config.integer(head_dim, 1, MAX_HEAD_DIM)
    return [
        ("conv_kernel", config.integer("conv_kernel", 2, 1 << 8)),
        ("state_size", config.integer(state, 1, MAX_HEAD_DIM)),
        ("group_count", config.integer("n_groups", 1, MAX_HEADS)),
        ("inner_size", width),
        ("time_step_rank", n_head),
    ]


def _check_kinds(
    config: JsonObject, key: str, kinds: list[Any], n_layer: int, known: tuple[str, ...]
) -> None:
    if len(kinds) != n_layer or not 1 <= n_layer <= MAX_LAYERS:
        config.fail(key, f"{n_layer} names, 1 to {MAX_LAYERS}", kinds)
    for kind in kinds:
        if kind not in known:
            config.refuse(key, f"one of {', '.join(known)}", kind)
    if not set(kinds).intersection(_ATTENDS):
        config.refuse(key, f"{WHOLE} in some layers", kinds[0])
