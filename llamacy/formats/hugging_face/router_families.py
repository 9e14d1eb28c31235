"""Families of experts with dense first layers, a shared expert or DeepSeek's router."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture
from llamacy.formats.hugging_face.layer_names import (
    ATTENTION,
    FEED_FORWARD,
    HEAD_NORMS,
    LAYER,
)

_EXPERTS: Final = ExpertNames("mlp.experts", "gate_proj", "up_proj", "down_proj")
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
    names=(_EXPERTS,),
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
    biased=frozenset({"attn_q", "attn_k", "attn_v"}),
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
        names=(_EXPERTS,),
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
    mixture=Mixture(names=(_EXPERTS,)),
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
        names=(_EXPERTS,),
        width="moe_intermediate_size",
        normalized="norm_topk_prob",
        gating="expert_selection_fn",
        numbers={"n_shared_experts": "expert_shared_count"},
    ),
)

ROUTER_FAMILIES: Final[Mapping[str, Family]] = {
    "Glm4MoeForCausalLM": _GLM4MOE,
    "Dots1ForCausalLM": _DOTS1,
    "Ernie4_5_MoeForCausalLM": _ERNIE4_5_MOE,
    "HunYuanMoEV1ForCausalLM": _HUNYUAN_MOE,
    "Cohere2MoeForCausalLM": _COHERE2MOE,
}
"""Families by the name of their class, in `architectures` of config.json."""
