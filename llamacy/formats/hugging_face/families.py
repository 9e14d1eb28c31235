"""Model families in Hugging Face's form: a row each, with the names of their tensors.

A row says which GGUF architecture a class of transformers is, how its tensors' names
translate, and which of its tensors and settings GGUF files have in another form. The
forms are those that llama.cpp's converter writes. Adding a family is adding a row;
those with layer norms, or networks without a gate, are in `other_families`, and those
with DeepSeek's router and its kin in `router_families`.
"""

from __future__ import annotations

from typing import Final

from llamacy.formats.hugging_face import gemma4
from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture
from llamacy.formats.hugging_face.layer_names import (
    ATTENTION,
    FEED_FORWARD,
    HEAD_NORMS,
    LAYER,
)
from llamacy.formats.hugging_face.other_families import OTHER_FAMILIES
from llamacy.formats.hugging_face.recent_families import RECENT_FAMILIES
from llamacy.formats.hugging_face.router_families import ROUTER_FAMILIES

OUTSIDE: Final = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
"""Names of the parts outside the layers."""

BARE: Final = {
    "self_attn.sinks": "weight",
    "mlp.gate.e_score_correction_bias": "bias",
    "mlp.moe_statics.e_score_correction_bias": "bias",
    "mlp.gate.moe_statics.e_score_correction_bias": "bias",
    "layer_scalar": "weight",
    "router.scale": "scale",
    "router.per_expert_scale": "scale",
}
"""Names of parts that are not modules, and what GGUF has after theirs."""

IGNORED: Final = (
    "rotary_emb.inv_freq",
    "rotary_emb.cos_cached",
    "rotary_emb.sin_cached",
    "self_attn.masked_bias",
    "position_ids",
    # masks and angles of the oldest checkpoints
    ".attn.bias",
    ".attn.masked_bias",
    ".attention.bias",
    ".attention.masked_bias",
)
"""Ends of names in old checkpoints that nothing needs: computed from other settings."""

_NORMS_AFTER: Final = {
    "post_attention_layernorm": "post_attention_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_MIXTURE_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **ATTENTION,
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate": "ffn_gate_inp",
}
_GEMMA_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **ATTENTION,
    "pre_feedforward_layernorm": "ffn_norm",
    **FEED_FORWARD,
    **_NORMS_AFTER,
}


_ALL_MATRICES: Final = frozenset((ATTENTION | FEED_FORWARD).values())

_LLAMA: Final = Family(
    architecture="llama",
    layer=LAYER,
    biased=_ALL_MATRICES,
    is_interleaved=True,
)
_QWEN2: Final = Family(
    architecture="qwen2",
    layer=LAYER,
    always_biased=frozenset({"attn_q", "attn_k", "attn_v"}),
)
_QWEN3: Final = Family(architecture="qwen3", layer=LAYER | HEAD_NORMS)
_GEMMA2: Final = Family(
    architecture="gemma2",
    layer=_GEMMA_LAYER,
    norm_offset=1.0,
    activations=("gelu_pytorch_tanh",),
    constants={
        "attn_logit_softcapping": "attn_logit_softcapping",
        "final_logit_softcapping": "final_logit_softcapping",
    },
    scalar="query_pre_attn_scalar",
)
_GEMMA3: Final = Family(
    architecture="gemma3",
    layer=_GEMMA_LAYER | HEAD_NORMS,
    norm_offset=1.0,
    activations=("gelu_pytorch_tanh",),
    constants={"final_logit_softcapping": "final_logit_softcapping"},
    scalar="query_pre_attn_scalar",
    refused=("attn_logit_softcapping",),
)
_PHI3: Final = Family(
    architecture="phi3",
    layer={
        "input_layernorm": "attn_norm",
        "self_attn.qkv_proj": "attn_qkv",
        "self_attn.o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    has_partial_rope=True,
    has_longrope=True,
)
_SMOLLM3: Final = Family(
    architecture="smollm3",
    layer=LAYER,
    biased=_ALL_MATRICES,
    is_interleaved=True,
)
_GRANITE: Final = Family(
    architecture="granite",
    layer=LAYER,
    biased=_ALL_MATRICES,
    is_interleaved=True,
    constants={
        "embedding_multiplier": "embedding_scale",
        "residual_multiplier": "residual_scale",
        "attention_multiplier": "attention.scale",
        "logits_scaling": "logit_scale",
    },
)
_OLMO2: Final = Family(
    architecture="olmo2",
    layer=ATTENTION | HEAD_NORMS | FEED_FORWARD | _NORMS_AFTER,
)

_EXPERTS: Final = ExpertNames("mlp.experts", "gate_proj", "up_proj", "down_proj")
_MIXTRAL: Final = Family(
    architecture="llama",
    layer=_MIXTURE_LAYER,
    aliases={"block_sparse_moe.gate": "mlp.gate"},
    is_interleaved=True,
    mixture=Mixture(
        names=(_EXPERTS, ExpertNames("block_sparse_moe.experts", "w1", "w3", "w2"))
    ),
)
_QWEN2MOE: Final = Family(
    architecture="qwen2moe",
    layer={
        **_MIXTURE_LAYER,
        "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
        "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
        "mlp.shared_expert.up_proj": "ffn_up_shexp",
        "mlp.shared_expert.down_proj": "ffn_down_shexp",
    },
    always_biased=_QWEN2.always_biased,
    mixture=Mixture(
        names=(_EXPERTS,),
        width="moe_intermediate_size",
        shared_width="shared_expert_intermediate_size",
        normalized="norm_topk_prob",
    ),
)
_QWEN3MOE: Final = Family(
    architecture="qwen3moe",
    layer=_MIXTURE_LAYER | HEAD_NORMS,
    mixture=Mixture(
        names=(_EXPERTS,), width="moe_intermediate_size", normalized="norm_topk_prob"
    ),
)
_GPT_OSS: Final = Family(
    architecture="gpt-oss",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        "self_attn.sinks": "attn_sinks",
        "post_attention_layernorm": "post_attention_norm",
        "mlp.router": "ffn_gate_inp",
    },
    biased=frozenset(ATTENTION.values()),
    always_biased=frozenset({"ffn_gate_inp"}),
    mixture=Mixture(names=(_EXPERTS,), is_turned=True, width="intermediate_size"),
    fixed={"swiglu_alpha": 1.702, "swiglu_limit": 7.0},
)

FAMILIES: Final = {
    "LlamaForCausalLM": _LLAMA,
    "MistralForCausalLM": _LLAMA,
    "MinistralForCausalLM": _LLAMA,
    "Qwen2ForCausalLM": _QWEN2,
    "Qwen3ForCausalLM": _QWEN3,
    "Gemma2ForCausalLM": _GEMMA2,
    "Gemma3ForCausalLM": _GEMMA3,
    "Phi3ForCausalLM": _PHI3,
    "SmolLM3ForCausalLM": _SMOLLM3,
    "GraniteForCausalLM": _GRANITE,
    "Olmo2ForCausalLM": _OLMO2,
    "Olmo3ForCausalLM": _OLMO2,
    "MixtralForCausalLM": _MIXTRAL,
    "Qwen2MoeForCausalLM": _QWEN2MOE,
    "Qwen3MoeForCausalLM": _QWEN3MOE,
    "GptOssForCausalLM": _GPT_OSS,
    **OTHER_FAMILIES,
    **ROUTER_FAMILIES,
    **gemma4.FAMILIES,
    **RECENT_FAMILIES,
}
"""Families by the name of their class, in `architectures` of config.json."""
