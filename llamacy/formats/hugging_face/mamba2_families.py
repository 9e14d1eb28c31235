"""Families that scan as Mamba-2 does, in Hugging Face's form.

Granite 4 H scans in place of attention in most of its layers, Falcon-H1 beside it in
all, Nemotron-H has layers of one part each, and Mamba-2 nothing else. GGUF's `ssm_a` is
stored as the logarithm of its negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llamacy.formats.hugging_face.family import ExpertNames, Family, Form, Mixture
from llamacy.formats.hugging_face.layer_names import ATTENTION
from llamacy.formats.hugging_face.mixture_families import MIXTURE_FAMILIES

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
SCAN_PARTS: Final = frozenset(_SCAN.values())
ATTENTION_PARTS: Final = frozenset(ATTENTION.values())
NETWORK_PARTS: Final = frozenset(_NETWORK.values())
"""GGUF's names of the parts of a scan, of attention, and of Nemotron-H's network."""

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
    biased=ATTENTION_PARTS | {"ssm_conv1d"},
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
    biased=ATTENTION_PARTS | NETWORK_PARTS | {"ssm_conv1d"},
    bias_keys={"use_conv_bias": ("ssm_conv1d",)},
    fixed_flags={"mamba_proj_bias": False, "use_bias": False},
    activations=("relu2",),
    refused=("sliding_window",),
)
_SHARED: Final = ("ffn_up_shexp", "ffn_down_shexp")
_LATENT: Final = ("ffn_latent_down", "ffn_latent_up")
_NEMOTRON_H_MOE: Final = replace(
    _NEMOTRON_H,
    architecture="nemotron_h_moe",
    layer={
        **_NEMOTRON_H.layer,
        "mixer.gate": "ffn_gate_inp",
        "mixer.gate.e_score_correction_bias": "exp_probs_b",
        "mixer.fc1_latent_proj": "ffn_latent_down",
        "mixer.shared_experts.up_proj": "ffn_up_shexp",
        "mixer.shared_experts.down_proj": "ffn_down_shexp",
        "mixer.fc2_latent_proj": "ffn_latent_up",
    },
    present=dict.fromkeys(_LATENT, ("has_latent", True)),
    biased=_NEMOTRON_H.biased.union(_SHARED, _LATENT),
    bias_keys={
        **_NEMOTRON_H.bias_keys,
        "mlp_bias": (*NETWORK_PARTS, *_SHARED, *_LATENT),
    },
    mixture=Mixture(
        names=(ExpertNames("mixer.experts", "", "up_proj", "down_proj"),),
        width="moe_intermediate_size",
        shared_width="moe_shared_expert_intermediate_size",
        latent_width="moe_latent_size",
        normalized="norm_topk_prob",
        scale="routed_scaling_factor",
        numbers={
            "n_shared_experts": "expert_shared_count",
            "n_group": "expert_group_count",
            "topk_group": "expert_group_used_count",
        },
    ),
    dense=_NEMOTRON_H,
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
MAMBA2_FAMILIES: Final[Mapping[str, Family]] = {
    "GraniteMoeHybridForCausalLM": _GRANITE_H,
    "FalconH1ForCausalLM": _FALCON_H1,
    "NemotronHForCausalLM": _NEMOTRON_H_MOE,
    "Mamba2ForCausalLM": _MAMBA2,
}
"""The families of this file by the names of their classes."""
