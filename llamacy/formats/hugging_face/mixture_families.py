"""Families with experts, some with dense first layers or a shared expert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llamacy.formats.hugging_face.dense_families import GRANITE_SCALES
from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture
from llamacy.formats.hugging_face.layer_names import (
    ATTENTION,
    EXPERTS,
    FEED_FORWARD,
    HEAD_NORMS,
    LAYER,
    MIXTURE_LAYER,
    QKV,
    SHARED_EXPERT,
)

_SINKS: Final = {"self_attn.sinks": "attn_sinks"}
_MIXTRAL: Final = Family(
    architecture="llama",
    layer=MIXTURE_LAYER,
    aliases={"block_sparse_moe.gate": "mlp.gate"},
    is_interleaved=True,
    mixture=Mixture(
        names=(EXPERTS, ExpertNames("block_sparse_moe.experts", "w1", "w3", "w2"))
    ),
)
_QWEN2MOE: Final = Family(
    architecture="qwen2moe",
    layer=MIXTURE_LAYER | SHARED_EXPERT,
    always_biased=frozenset(QKV),
    mixture=Mixture(
        names=(EXPERTS,),
        width="moe_intermediate_size",
        shared_width="shared_expert_intermediate_size",
        normalized="norm_topk_prob",
    ),
)
_QWEN3MOE: Final = Family(
    architecture="qwen3moe",
    layer=MIXTURE_LAYER | HEAD_NORMS,
    mixture=Mixture(
        names=(EXPERTS,), width="moe_intermediate_size", normalized="norm_topk_prob"
    ),
)
_GPT_OSS: Final = Family(
    architecture="gpt-oss",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        **_SINKS,
        "post_attention_layernorm": "post_attention_norm",
        "mlp.router": "ffn_gate_inp",
    },
    biased=frozenset(ATTENTION.values()),
    always_biased=frozenset({"ffn_gate_inp"}),
    mixture=Mixture(names=(EXPERTS,), is_turned=True, width="intermediate_size"),
    fixed={"swiglu_alpha": 1.702, "swiglu_limit": 7.0},
)
_OLMOE: Final = Family(
    architecture="olmoe",
    layer=MIXTURE_LAYER | HEAD_NORMS,
    mixture=Mixture(names=(EXPERTS,), normalized="norm_topk_prob"),
    refused=("clip_qkv",),
)
_MELLUM: Final = Family(
    architecture="mellum",
    layer=MIXTURE_LAYER | HEAD_NORMS,
    mixture=Mixture(
        names=(EXPERTS,), width="moe_intermediate_size", normalized="norm_topk_prob"
    ),
)
_SHARED_MLP: Final = ("ffn_up_shexp", "ffn_down_shexp")
_GRANITEMOE: Final = Family(
    architecture="granitemoe",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        "post_attention_layernorm": "ffn_norm",
        "block_sparse_moe.router": "ffn_gate_inp",
        "shared_mlp.input_linear": "ffn_up_shexp",
        "shared_mlp.output_linear": "ffn_down_shexp",
    },
    aliases={"block_sparse_moe.router.layer": "block_sparse_moe.router"},
    present=dict.fromkeys(_SHARED_MLP, ("has_shared_expert", True)),
    halves={"ffn_up_shexp": "ffn_gate_shexp"},
    biased=frozenset(ATTENTION.values()),
    is_interleaved=True,
    mixture=Mixture(
        names=(
            ExpertNames(
                "block_sparse_moe.experts", "gate_proj", "up_proj", "down_proj"
            ),
        ),
        merged={
            "block_sparse_moe.input_linear.weight": (
                "block_sparse_moe.experts.gate_up_proj"
            ),
            "block_sparse_moe.output_linear.weight": (
                "block_sparse_moe.experts.down_proj"
            ),
        },
        shared_width="shared_intermediate_size",
    ),
    constants=GRANITE_SCALES,
)
_GRANITE_SWA_MOE: Final = replace(
    _GRANITEMOE,
    architecture="granite_swa",
    layer={**_GRANITEMOE.layer, **_SINKS},
    halves={},
    bases="layer_rope_theta",
)
_SHARED: Final = {
    "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
    "mlp.shared_experts.up_proj": "ffn_up_shexp",
    "mlp.shared_experts.down_proj": "ffn_down_shexp",
}
_HAS_SHARED: Final = dict.fromkeys(_SHARED.values(), ("has_shared_experts", True))
_ROUTER: Final = {
    "mlp.gate": "ffn_gate_inp",
    "mlp.gate.e_score_correction_bias": "exp_probs_b",
}
_DEEPSEEK: Final = Mixture(
    names=(EXPERTS,),
    width="moe_intermediate_size",
    normalized="norm_topk_prob",
    scale="routed_scaling_factor",
    numbers={
        "n_shared_experts": "expert_shared_count",
        "n_group": "expert_group_count",
        "topk_group": "expert_group_used_count",
    },
)
_GLM4MOE: Final = Family(
    architecture="glm4moe",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        **HEAD_NORMS,
        "post_attention_layernorm": "post_attention_norm",
        **FEED_FORWARD,
        **_ROUTER,
        **_SHARED,
    },
    present={
        "attn_q_norm": ("use_qk_norm", True),
        "attn_k_norm": ("use_qk_norm", True),
        **_HAS_SHARED,
    },
    biased=frozenset(QKV),
    mixture=_DEEPSEEK,
    has_partial_rope=True,
)
_DOTS1: Final = Family(
    architecture="dots1",
    layer=LAYER | HEAD_NORMS | _ROUTER | _SHARED,
    present=_HAS_SHARED,
    mixture=_DEEPSEEK,
)
_ERNIE4_5_MOE: Final = Family(
    architecture="ernie4_5-moe",
    layer={
        **LAYER,
        "mlp.gate": "ffn_gate_inp",
        "mlp.moe_statics.e_score_correction_bias": "exp_probs_b",
        **_SHARED,
    },
    aliases={
        "mlp.gate.moe_statics.e_score_correction_bias": (
            "mlp.moe_statics.e_score_correction_bias"
        )
    },
    present=_HAS_SHARED,
    mixture=Mixture(
        names=(EXPERTS,),
        width="moe_intermediate_size",
        numbers={"n_shared_experts": "expert_shared_count"},
    ),
)
_HUNYUAN_MOE: Final = Family(
    architecture="hunyuan-moe",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        "self_attn.query_layernorm": "attn_q_norm",
        "self_attn.key_layernorm": "attn_k_norm",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate.wg": "ffn_gate_inp",
        "mlp.shared_mlp.gate_proj": "ffn_gate_shexp",
        "mlp.shared_mlp.up_proj": "ffn_up_shexp",
        "mlp.shared_mlp.down_proj": "ffn_down_shexp",
    },
    mixture=Mixture(names=(EXPERTS,)),
    has_alpha=True,
)
_COHERE2MOE: Final = Family(
    architecture="cohere2moe",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        **FEED_FORWARD,
        "mlp.gate": "ffn_gate_inp",
        **_SHARED,
    },
    present=_HAS_SHARED,
    eps="layer_norm_eps",
    constants={"logit_scale": "logit_scale"},
    fixed={"prefix_dense_sliding_window_pattern": 1.0},
    mixture=Mixture(
        names=(EXPERTS,),
        width="moe_intermediate_size",
        normalized="norm_topk_prob",
        gating="expert_selection_fn",
        numbers={"n_shared_experts": "expert_shared_count"},
    ),
)
_LAGUNA: Final = Family(
    architecture="laguna",
    layer=LAYER | HEAD_NORMS | _ROUTER | _SHARED | {"self_attn.g_proj": "attn_gate"},
    aliases={
        "mlp.experts.e_score_correction_bias": "mlp.gate.e_score_correction_bias",
        **{name.replace("experts", "expert"): name for name in _SHARED},
    },
    biased=frozenset(ATTENTION.values()),
    mixture=Mixture(
        names=(EXPERTS,),
        width="moe_intermediate_size",
        shared_width="shared_expert_intermediate_size",
        normalized="norm_topk_prob",
        scale="moe_routed_scaling_factor",
    ),
    has_partial_rope=True,
    fixed_flags={"moe_apply_router_weight_on_input": False},
    refused=("moe_router_logit_softcapping",),
)
_PHIMOE: Final = Family(
    architecture="phimoe",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        "post_attention_layernorm": "ffn_norm",
        "mlp.router": "ffn_gate_inp",
    },
    aliases={"block_sparse_moe.gate": "mlp.router"},
    biased=frozenset({*ATTENTION.values(), "output"}),
    bias_keys={"lm_head_bias": ("output",)},
    always_biased=frozenset({"attn_norm", "ffn_norm", "output_norm"}),
    eps="layer_norm_eps",
    mixture=Mixture(
        names=(ExpertNames("block_sparse_moe.experts", "w1", "w3", "w2"), EXPERTS),
        jitter="router_jitter_noise",
    ),
    has_longrope=True,
    magnitudes=("short_mscale", "long_mscale"),
)

MIXTURE_FAMILIES: Final[Mapping[str, Family]] = {
    "MixtralForCausalLM": _MIXTRAL,
    "Qwen2MoeForCausalLM": _QWEN2MOE,
    "Qwen3MoeForCausalLM": _QWEN3MOE,
    "GptOssForCausalLM": _GPT_OSS,
    "OlmoeForCausalLM": _OLMOE,
    "MellumForCausalLM": _MELLUM,
    "GraniteMoeForCausalLM": _GRANITEMOE,
    "GraniteMoeSharedForCausalLM": _GRANITEMOE,
    "GraniteMoeSWAForCausalLM": _GRANITE_SWA_MOE,
    "Glm4MoeForCausalLM": _GLM4MOE,
    "Dots1ForCausalLM": _DOTS1,
    "Ernie4_5_MoeForCausalLM": _ERNIE4_5_MOE,
    "HunYuanMoEV1ForCausalLM": _HUNYUAN_MOE,
    "Cohere2MoeForCausalLM": _COHERE2MOE,
    "LagunaForCausalLM": _LAGUNA,
    "PhimoeForCausalLM": _PHIMOE,
}
"""These families by the name of their class."""
