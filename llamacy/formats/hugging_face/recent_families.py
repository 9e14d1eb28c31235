"""Families of 2024 and later with RMS norms, and the texts of those that see images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture
from llamacy.formats.hugging_face.layer_names import (
    ATTENTION,
    FEED_FORWARD,
    HEAD_NORMS,
    LAYER,
)

_QKV: Final = ("attn_q", "attn_k", "attn_v")
_ALL_MATRICES: Final = frozenset((ATTENTION | FEED_FORWARD).values())
_SINKS: Final = {"self_attn.sinks": "attn_sinks"}
_EXPERTS: Final = ExpertNames("mlp.experts", "gate_proj", "up_proj", "down_proj")
_MIXTURE_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **ATTENTION,
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate": "ffn_gate_inp",
}
TEXT_PART: Final = {
    "model.language_model.": "model.",
    "language_model.model.": "model.",
    "language_model.lm_head.": "lm_head.",
}
"""Beginnings of names in models that have a part for images."""

IMAGE_PART: Final = (
    *("model.visual.", "visual."),
    *("model.vision_tower.", "vision_tower."),
    *("model.multi_modal_projector.", "multi_modal_projector."),
)
"""Beginnings of names of the part for images."""

_QWEN2VL: Final = Family(
    architecture="qwen2vl",
    layer=LAYER,
    renamed=TEXT_PART,
    images=IMAGE_PART,
    always_biased=frozenset(_QKV),
    sections=(16, 24, 24),
)
_QWEN3VL: Final = Family(
    architecture="qwen3vl",
    layer=LAYER | HEAD_NORMS,
    renamed=TEXT_PART,
    images=IMAGE_PART,
    sections=(24, 20, 20),
)
_QWEN3VLMOE: Final = replace(
    _QWEN3VL,
    architecture="qwen3vlmoe",
    layer=_MIXTURE_LAYER | HEAD_NORMS,
    mixture=Mixture(
        names=(_EXPERTS,), may_have_columns=True, width="moe_intermediate_size"
    ),
)
_MISTRAL3: Final = Family(
    architecture="mistral3",
    layer=LAYER,
    renamed=TEXT_PART,
    images=IMAGE_PART,
    is_interleaved=True,
    query_growth="llama_4_scaling_beta",
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
_OLMOE: Final = Family(
    architecture="olmoe",
    layer=_MIXTURE_LAYER | HEAD_NORMS,
    mixture=Mixture(names=(_EXPERTS,), normalized="norm_topk_prob"),
    refused=("clip_qkv",),
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
    biased=frozenset(_QKV),
    bias_keys={"attention_bias": _QKV},
    has_partial_rope=True,
)
_SEED_OSS: Final = Family(
    architecture="seed_oss",
    layer=LAYER | {"post_attention_layernorm": "post_attention_norm"},
    biased=_ALL_MATRICES,
    bias_keys={"attention_bias": _QKV, "attention_out_bias": ("attn_output",)},
)
_ERNIE4_5: Final = Family(architecture="ernie4_5", layer=LAYER, biased=_ALL_MATRICES)
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
_MELLUM: Final = Family(
    architecture="mellum",
    layer=_MIXTURE_LAYER | HEAD_NORMS,
    mixture=Mixture(
        names=(_EXPERTS,), width="moe_intermediate_size", normalized="norm_topk_prob"
    ),
)
_GRANITE_SCALES: Final = {
    "embedding_multiplier": "embedding_scale",
    "residual_multiplier": "residual_scale",
    "attention_multiplier": "attention.scale",
    "logits_scaling": "logit_scale",
}
_SHARED: Final = ("ffn_up_shexp", "ffn_down_shexp")
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
    present=dict.fromkeys(_SHARED, ("has_shared_expert", True)),
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
    constants=_GRANITE_SCALES,
)
_GRANITE_SWA: Final = Family(
    architecture="granite_swa",
    layer=LAYER | _SINKS,
    biased=_ALL_MATRICES,
    is_interleaved=True,
    constants=_GRANITE_SCALES,
    bases="layer_rope_theta",
)
_GRANITE_SWA_MOE: Final = replace(
    _GRANITEMOE,
    architecture="granite_swa",
    layer={**_GRANITEMOE.layer, **_SINKS},
    halves={},
    bases="layer_rope_theta",
)

RECENT_FAMILIES: Final[Mapping[str, Family]] = {
    "Qwen2VLForConditionalGeneration": _QWEN2VL,
    "Qwen2_5_VLForConditionalGeneration": _QWEN2VL,
    "Qwen3VLForConditionalGeneration": _QWEN3VL,
    "Qwen3VLMoeForConditionalGeneration": _QWEN3VLMOE,
    "Ministral3ForCausalLM": _MISTRAL3,
    "Mistral3ForConditionalGeneration": _MISTRAL3,
    "Exaone4ForCausalLM": _EXAONE4,
    "OlmoeForCausalLM": _OLMOE,
    "Glm4ForCausalLM": _GLM4,
    "SeedOssForCausalLM": _SEED_OSS,
    "Ernie4_5ForCausalLM": _ERNIE4_5,
    "HunYuanDenseV1ForCausalLM": _HUNYUAN,
    "MiniCPMForCausalLM": _MINICPM,
    "InternLM2ForCausalLM": _INTERNLM2,
    "MellumForCausalLM": _MELLUM,
    "GraniteMoeForCausalLM": _GRANITEMOE,
    "GraniteMoeSharedForCausalLM": _GRANITEMOE,
    "GraniteSWAForCausalLM": _GRANITE_SWA,
    "GraniteMoeSWAForCausalLM": _GRANITE_SWA_MOE,
}
"""These families by the name of their class."""
