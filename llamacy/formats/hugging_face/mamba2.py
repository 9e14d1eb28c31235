"""Kinds of layers, and sizes of scans, in models that scan as Mamba-2 does.

Each of the classes in `mamba2_classes` has its own keys for these in config.json;
`with_sizes` adds those that `sizes` reads.
"""

from __future__ import annotations

import math
from typing import Any, Final

from llamacy.formats.gguf.limits import (
    MAX_EMBD,
    MAX_FF,
    MAX_HEAD_DIM,
    MAX_HEADS,
    MAX_LAYERS,
)
from llamacy.formats.hugging_face.common_keys import WHOLE
from llamacy.formats.hugging_face.mamba2_families import (
    ATTENTION_PARTS,
    NETWORK_PARTS,
    SCAN_PARTS,
)
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("granitehybrid", "falcon-h1", "nemotron_h_moe", "mamba2")
FALCON_H1_WIDTH: Final = "mamba_d_ssm"  # a key that no other class has
_RECURRENT: Final = "recurrent_layers"
_LIMIT: Final = "time_step_limit"
_INFINITY: Final = {"__float__": "Infinity"}  # as transformers 5 writes it
_N_CTX: Final = 1 << 20  # of Mamba-2, which names none; as llama.cpp's converter has it
_SCANS: Final = ("mamba", "linear_attention")
_ATTENDS: Final = ("attention", WHOLE)
_NETWORKS: Final = ("mlp",)
_MIXTURES: Final = ("moe",)
_KINDS_OF_LETTERS: Final = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}


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
    if FALCON_H1_WIDTH in config.values:
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
    if architecture.startswith("nemotron_h"):  # llama.cpp reads it for its RMS norms
        eps = config.real("rms_norm_eps", 1e-37, 1.0)
        metadata.real(f"{architecture}.attention.layer_norm_epsilon", eps)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks."""
    if FALCON_H1_WIDTH in config.values:
        n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
        return (frozenset(),) * n_layer
    of_kinds = {
        **dict.fromkeys(_SCANS, ATTENTION_PARTS),
        **dict.fromkeys(_ATTENDS, SCAN_PARTS),
    }
    if "mamba_num_heads" in config.values:  # each layer has one part
        of_kinds = {
            **dict.fromkeys(_SCANS, ATTENTION_PARTS | NETWORK_PARTS),
            **dict.fromkeys(_ATTENDS, SCAN_PARTS | NETWORK_PARTS),
            **dict.fromkeys(_NETWORKS, SCAN_PARTS | ATTENTION_PARTS),
            **dict.fromkeys(_MIXTURES, SCAN_PARTS | ATTENTION_PARTS | NETWORK_PARTS),
        }
    return tuple(of_kinds[kind] for kind in config.items("kinds"))


def _falcon(config: JsonObject) -> dict[str, Any]:
    if config.flag("mamba_rms_norm") and config.flag("mamba_norm_before_gate"):
        config.refuse("mamba_norm_before_gate", "false, with mamba_rms_norm", True)
    if FALCON_H1_WIDTH in config:
        width = config.integer(FALCON_H1_WIDTH, 1, MAX_FF)
        return {"scan": _scan_in_mamba(config, width)}
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
    known = (*_SCANS, *_ATTENDS, *_NETWORKS, *_MIXTURES)
    _check_kinds(config, key, kinds, len(kinds), known)
    if config.text("mamba_hidden_act", "silu") != "silu":
        config.refuse("mamba_hidden_act", "silu", config.get("mamba_hidden_act"))
    n_head_kv = config.integer("num_key_value_heads", 1, MAX_HEADS)
    n_ff = dict.fromkeys(_NETWORKS, config.integer("intermediate_size", 1, MAX_FF))
    has_experts = any(kind in _MIXTURES for kind in kinds)
    if has_experts:
        width = config.integer("moe_intermediate_size", 1, MAX_FF)
        n_ff |= dict.fromkeys(_MIXTURES, width)
    return {
        "has_experts": has_experts,
        "has_latent": "moe_latent_size" in config,
        "expert_layers": [kind in _MIXTURES for kind in kinds],
        "kinds": kinds,
        "num_hidden_layers": len(kinds),
        _RECURRENT: [kind in _SCANS for kind in kinds],
        "num_key_value_heads": [n_head_kv if kind in _ATTENDS else 0 for kind in kinds],
        "intermediate_size": [n_ff.get(kind, 0) for kind in kinds],
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
