"""Families that scan as Mamba does, in Hugging Face's form: Jamba, and Mamba itself.

GGUF's `ssm_a` is stored as the logarithm of its negative. Falcon Mamba is Mamba, with
norms without weights of steps, of what writes and of what reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamacy.formats.gguf.limits import (
    MAX_EMBD,
    MAX_EXPERTS,
    MAX_HEAD_DIM,
    MAX_HEADS,
    MAX_LAYERS,
)
from llamacy.formats.gguf.recurrent import NORM_EPS
from llamacy.formats.hugging_face.common_keys import MODEL, RMS, Defaults
from llamacy.formats.hugging_face.family import ExpertNames, Family, Form, Mixture
from llamacy.formats.hugging_face.layer_names import ATTENTION
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("jamba", "mamba")
_N_CTX: Final = 1 << 20  # of Mamba, which names none; as llama.cpp's converter has it
_EPS: Final = "mixer_rms_eps"  # of Falcon Mamba's norms of steps
_PER_STEP: Final = 16  # numbers of a row for each that steps are made of by default

_SCAN: Final = {
    "in_proj": "ssm_in",
    "conv1d": "ssm_conv1d",
    "x_proj": "ssm_x",
    "dt_proj": "ssm_dt",
    "A_log": "ssm_a",
    "D": "ssm_d",
    "out_proj": "ssm_out",
}
_NORMS: Final = {
    "dt_layernorm": "ssm_dt_norm",
    "b_layernorm": "ssm_b_norm",
    "c_layernorm": "ssm_c_norm",
}
_SCAN_PARTS: Final = frozenset((*_SCAN.values(), *_NORMS.values()))
_ATTENTION_PARTS: Final = frozenset(ATTENTION.values())
_FORMS: Final[Mapping[str, Form]] = {"ssm_conv1d": "squeezed", "ssm_a": "decay"}
_JAMBA: Final = Family(
    architecture="jamba",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        **{f"mamba.{theirs}": ours for theirs, ours in (_SCAN | _NORMS).items()},
        "pre_ff_layernorm": "ffn_norm",
        "feed_forward.gate_proj": "ffn_gate",
        "feed_forward.up_proj": "ffn_up",
        "feed_forward.down_proj": "ffn_down",
        "feed_forward.router": "ffn_gate_inp",
    },
    renamed={"model.final_layernorm.": "model.norm."},
    present={"ffn_gate_inp": ("has_experts", True)},
    forms=_FORMS,
    biased=frozenset({"ssm_conv1d"}),
    bias_keys={"mamba_conv_bias": ("ssm_conv1d",)},
    always_biased=frozenset({"ssm_dt"}),
    fixed_flags={"mamba_proj_bias": False},
    mixture=Mixture(
        names=(
            ExpertNames("feed_forward.experts", "gate_proj", "up_proj", "down_proj"),
        ),
        switch="has_experts",
    ),
)
_MAMBA: Final = Family(
    architecture="mamba",
    layer={
        "norm": "attn_norm",
        **{f"mixer.{theirs}": ours for theirs, ours in _SCAN.items()},
    },
    renamed={
        "backbone.layers.": "model.layers.",
        "backbone.embeddings.": "model.embed_tokens.",
        "backbone.norm_f.": "model.norm.",
    },
    forms=_FORMS,
    biased=frozenset({"ssm_conv1d"}),
    bias_keys={"use_conv_bias": ("ssm_conv1d",)},
    always_biased=frozenset({"ssm_dt"}),
    fixed_flags={"use_bias": False},
)
FAMILIES: Final[Mapping[str, Family]] = {
    "JambaForCausalLM": _JAMBA,
    "MambaForCausalLM": _MAMBA,
    "FalconMambaForCausalLM": _MAMBA,
}
"""The families of this file by the names of their classes."""

_RUNNING: Final[Defaults] = {"use_mambapy": False, "use_associative_scan": True}
_MAMBA_DEFAULTS: Final[Defaults] = {
    **MODEL,
    **_RUNNING,
    "vocab_size": 50280,
    "hidden_size": 768,
    "state_size": 16,
    "num_hidden_layers": 32,
    "layer_norm_epsilon": 1e-5,
    "expand": 2,
    "conv_kernel": 4,
    "use_bias": False,
    "use_conv_bias": True,
    "time_step_rank": "auto",
    "tie_word_embeddings": True,
    # which follow from others, or change nothing outside of training
    "intermediate_size": 1536,
    "residual_in_fp32": True,
    "time_step_scale": 1.0,
    "time_step_min": 0.001,
    "time_step_max": 0.1,
    "time_step_init_scheme": "random",
    "time_step_floor": 1e-4,
    "rescale_prenorm_residual": False,
}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    "JambaForCausalLM": {
        **RMS,
        **_RUNNING,
        "vocab_size": 65536,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "max_position_embeddings": 262144,
        "num_experts_per_tok": 2,
        "num_experts": 16,
        "expert_layer_period": 2,
        "expert_layer_offset": 1,
        "attn_layer_period": 8,
        "attn_layer_offset": 4,
        "use_mamba_kernels": True,
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_expand": 2,
        "mamba_dt_rank": "auto",
        "mamba_conv_bias": True,
        "mamba_proj_bias": False,
    },
    "MambaForCausalLM": _MAMBA_DEFAULTS,
    "FalconMambaForCausalLM": {**_MAMBA_DEFAULTS, _EPS: 1e-6},
}
"""Keys and defaults of the classes: see `classes`."""


def with_sizes(config: JsonObject) -> JsonObject:
    """Return config.json with the sizes of each layer, as other families have them.

    Raises
    ------
    FormatError
        A value is missing or wrong.
    """
    made = _jamba(config) if "mamba_d_state" in config.values else _mamba(config)
    return JsonObject(config.path, config.values | made)


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has.

    Raises
    ------
    FormatError
        A value is wrong.
    """
    for key, number in config.items("scan"):
        metadata.integer(f"{architecture}.ssm.{key}", number)
    if _EPS in config:
        metadata.flag(f"{architecture}.ssm.dt_b_c_rms", True)
        eps = config.real(_EPS, 1e-37, 1.0)
        metadata.real(f"{architecture}.{NORM_EPS}", eps)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks."""
    return tuple(
        _ATTENTION_PARTS if is_recurrent else _SCAN_PARTS
        for is_recurrent in config.items("recurrent_layers")
    )


def _jamba(config: JsonObject) -> dict[str, Any]:
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    attends = _periodic(config, "attn_layer", n_layer)
    have_experts = _periodic(config, "expert_layer", n_layer)
    n_expert = config.integer("num_experts", 1, MAX_EXPERTS)
    key = "num_key_value_heads"
    if key not in config:
        key = "num_attention_heads"
    n_head_kv = config.integer(key, 1, MAX_HEADS)
    if not any(attends):
        config.fail("attn_layer_offset", f"below {n_layer}, the layers", n_layer)
    return {
        "recurrent_layers": [not each for each in attends],
        "num_key_value_heads": [n_head_kv if each else 0 for each in attends],
        "expert_layers": have_experts,
        "has_experts": n_expert > 1 and any(have_experts),
        "scan": _scan(config, "mamba_d_conv", "mamba_d_state", "mamba_dt_rank"),
    }


def _mamba(config: JsonObject) -> dict[str, Any]:
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    return {
        "recurrent_layers": [True] * n_layer,
        "max_position_embeddings": _N_CTX,
        "scan": _scan(config, "conv_kernel", "state_size", "time_step_rank"),
    }


def _periodic(config: JsonObject, prefix: str, n_layer: int) -> list[bool]:
    """Read which layers are one in a period."""
    period = config.integer(f"{prefix}_period", 1, MAX_LAYERS)
    offset = config.integer(f"{prefix}_offset", 0, period - 1)
    return [layer % period == offset for layer in range(n_layer)]


def _scan(
    config: JsonObject, kernel: str, state: str, rank: str
) -> list[tuple[str, int]]:
    """Return GGUF's sizes of a scan."""
    n_embd = config.integer("hidden_size", 1, MAX_EMBD)
    expand = "mamba_expand" if "mamba_expand" in config.values else "expand"
    n_step = -(-n_embd // _PER_STEP)
    if config.get(rank) != "auto":
        n_step = config.integer(rank, 1, MAX_EMBD)
    return [
        ("conv_kernel", config.integer(kernel, 2, 1 << 8)),
        ("state_size", config.integer(state, 1, MAX_HEAD_DIM)),
        ("inner_size", n_embd * config.integer(expand, 1, 64)),
        ("time_step_rank", n_step),
    ]
