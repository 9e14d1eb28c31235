"""Families like LLaMA: RMS norms, and one feed-forward network in each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.layer_names import (
    ATTENTION,
    FEED_FORWARD,
    HEAD_NORMS,
    LAYER,
    MATRICES,
    QKV,
)

_NORMS_AFTER: Final = {
    "post_attention_layernorm": "post_attention_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_GEMMA_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **ATTENTION,
    "pre_feedforward_layernorm": "ffn_norm",
    **FEED_FORWARD,
    **_NORMS_AFTER,
}
GRANITE_SCALES: Final = {
    "embedding_multiplier": "embedding_scale",
    "residual_multiplier": "residual_scale",
    "attention_multiplier": "attention.scale",
    "logits_scaling": "logit_scale",
}
"""Granite's keys of constants, in GGUF by those in config.json."""

_LLAMA: Final = Family(
    architecture="llama",
    layer=LAYER,
    biased=MATRICES,
    is_interleaved=True,
)
_QWEN2: Final = Family(
    architecture="qwen2",
    layer=LAYER,
    always_biased=frozenset(QKV),
)
_QWEN3: Final = Family(architecture="qwen3", layer=LAYER | HEAD_NORMS)
_GEMMA: Final = Family(
    architecture="gemma",
    layer=LAYER,
    norm_offset=1.0,
    activations=("gelu_pytorch_tanh", "gelu"),  # computed with tanh in either case
)
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
_GEMMA_EMBEDDING: Final = Family(
    architecture="gemma-embedding",
    layer=_GEMMA_LAYER | HEAD_NORMS,
    without=frozenset({"output"}),
    idle=("lm_head.",),
    norm_offset=1.0,
    activations=("gelu_pytorch_tanh",),
    scalar="query_pre_attn_scalar",
    refused=("attn_logit_softcapping",),
    is_causal=False,
)
_GEMMA3: Final = Family(
    architecture="gemma3",
    layer=_GEMMA_LAYER | HEAD_NORMS,
    both_ways=_GEMMA_EMBEDDING,
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
    biased=MATRICES,
    is_interleaved=True,
)
_GRANITE: Final = Family(
    architecture="granite",
    layer=LAYER,
    biased=MATRICES,
    is_interleaved=True,
    constants=GRANITE_SCALES,
)
_GRANITE_SWA: Final = Family(
    architecture="granite_swa",
    layer=LAYER | {"self_attn.sinks": "attn_sinks"},
    biased=MATRICES,
    is_interleaved=True,
    constants=GRANITE_SCALES,
    bases="layer_rope_theta",
)
_OLMO2: Final = Family(
    architecture="olmo2",
    layer=ATTENTION | HEAD_NORMS | FEED_FORWARD | _NORMS_AFTER,
)
_EXAONE4: Final = Family(
    architecture="exaone4",
    layer={
        **ATTENTION,
        **HEAD_NORMS,
        "post_attention_layernorm": "post_attention_norm",
        **FEED_FORWARD,
        "post_feedforward_layernorm": "post_ffw_norm",
    },
)
_GLM4: Final = Family(
    architecture="glm4",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        "post_self_attn_layernorm": "post_attention_norm",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "post_mlp_layernorm": "post_ffw_norm",
    },
    biased=frozenset(QKV),
    bias_keys={"attention_bias": QKV},
    has_partial_rope=True,
)
_SEED_OSS: Final = Family(
    architecture="seed_oss",
    layer=LAYER | {"post_attention_layernorm": "post_attention_norm"},
    biased=MATRICES,
    bias_keys={"attention_bias": QKV, "attention_out_bias": ("attn_output",)},
)
_ERNIE4_5: Final = Family(architecture="ernie4_5", layer=LAYER, biased=MATRICES)
_HUNYUAN: Final = Family(
    architecture="hunyuan-dense",
    layer={
        **LAYER,
        "self_attn.query_layernorm": "attn_q_norm",
        "self_attn.key_layernorm": "attn_k_norm",
    },
    biased=frozenset(ATTENTION.values()),
    has_alpha=True,
)
_MINICPM: Final = Family(
    architecture="minicpm",
    layer=LAYER,
    biased=frozenset(ATTENTION.values()),
    is_interleaved=True,
    has_longrope=True,
    constants={
        "scale_emb": "embedding_scale",
        "residual_multiplier": "residual_scale",
        "logits_scaling": "logit_scale",
    },
)
_INTERNLM2: Final = Family(
    architecture="internlm2",
    layer={
        "attention_norm": "attn_norm",
        "attention.wqkv": "attn_qkv",
        "attention.wo": "attn_output",
        "ffn_norm": "ffn_norm",
        "feed_forward.w1": "ffn_gate",
        "feed_forward.w3": "ffn_up",
        "feed_forward.w2": "ffn_down",
    },
    renamed={
        "model.tok_embeddings.": "model.embed_tokens.",
        "output.": "lm_head.",
    },
    forms={"attn_qkv": "by_group"},
    biased=frozenset({"attn_qkv", "attn_output"}),
    bias_keys={"bias": ("attn_qkv", "attn_output")},
    is_interleaved=True,
)
_ARCEE: Final = Family(
    architecture="arcee",
    layer={
        "input_layernorm": "attn_norm",
        **ATTENTION,
        "post_attention_layernorm": "ffn_norm",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    biased=MATRICES - {"ffn_gate"},
    is_interleaved=True,
    activations=("relu2",),
)
_APERTUS: Final = Family(
    architecture="apertus",
    layer={
        "attention_layernorm": "attn_norm",
        **ATTENTION,
        **HEAD_NORMS,
        "feedforward_layernorm": "ffn_norm",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    biased=frozenset(ATTENTION.values()),
    layer_constants={
        "mlp.act_fn.alpha_p": "xielu.alpha_p",
        "mlp.act_fn.alpha_n": "xielu.alpha_n",
        "mlp.act_fn.beta": "xielu.beta",
        "mlp.act_fn.eps": "xielu.eps",
    },
    activations=("xielu",),
)

DENSE_FAMILIES: Final[Mapping[str, Family]] = {
    "LlamaForCausalLM": _LLAMA,
    "MistralForCausalLM": _LLAMA,
    "MinistralForCausalLM": _LLAMA,
    "Qwen2ForCausalLM": _QWEN2,
    "Qwen3ForCausalLM": _QWEN3,
    "GemmaForCausalLM": _GEMMA,
    "Gemma2ForCausalLM": _GEMMA2,
    "Gemma3ForCausalLM": _GEMMA3,
    "Phi3ForCausalLM": _PHI3,
    "SmolLM3ForCausalLM": _SMOLLM3,
    "GraniteForCausalLM": _GRANITE,
    "GraniteSWAForCausalLM": _GRANITE_SWA,
    "Olmo2ForCausalLM": _OLMO2,
    "Olmo3ForCausalLM": _OLMO2,
    "Exaone4ForCausalLM": _EXAONE4,
    "Glm4ForCausalLM": _GLM4,
    "SeedOssForCausalLM": _SEED_OSS,
    "Ernie4_5ForCausalLM": _ERNIE4_5,
    "HunYuanDenseV1ForCausalLM": _HUNYUAN,
    "MiniCPMForCausalLM": _MINICPM,
    "InternLM2ForCausalLM": _INTERNLM2,
    "ArceeForCausalLM": _ARCEE,
    "ApertusForCausalLM": _APERTUS,
}
"""These families by the name of their class."""
