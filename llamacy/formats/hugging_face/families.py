"""Model families in Hugging Face's form: a row each, with the names of their tensors.

A row says which GGUF architecture a class of transformers is, how its tensors' names
translate, and which of its tensors and settings GGUF files have in another form. The
forms are those that llama.cpp's converter writes. Adding a family is adding a row.
"""

from __future__ import annotations

from typing import Final

from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture

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

# Names of the parts of a layer, after `model.layers.N.`.
_ATTENTION: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}
_HEAD_NORMS: Final = {
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
}
_FEED_FORWARD: Final = {
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_NORMS_AFTER: Final = {
    "post_attention_layernorm": "post_attention_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
}
_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **_ATTENTION,
    "post_attention_layernorm": "ffn_norm",
    **_FEED_FORWARD,
}
_MIXTURE_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **_ATTENTION,
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate": "ffn_gate_inp",
}
_GEMMA_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **_ATTENTION,
    "pre_feedforward_layernorm": "ffn_norm",
    **_FEED_FORWARD,
    **_NORMS_AFTER,
}


_ALL_MATRICES: Final = frozenset((_ATTENTION | _FEED_FORWARD).values())

_LLAMA: Final = Family(
    architecture="llama",
    layer=_LAYER,
    biased=_ALL_MATRICES,
    is_interleaved=True,
)
_QWEN2: Final = Family(
    architecture="qwen2",
    layer=_LAYER,
    always_biased=frozenset({"attn_q", "attn_k", "attn_v"}),
)
_QWEN3: Final = Family(architecture="qwen3", layer=_LAYER | _HEAD_NORMS)
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
    layer=_GEMMA_LAYER | _HEAD_NORMS,
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
    layer=_LAYER,
    biased=_ALL_MATRICES,
    is_interleaved=True,
)
_GRANITE: Final = Family(
    architecture="granite",
    layer=_LAYER,
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
    layer=_ATTENTION | _HEAD_NORMS | _FEED_FORWARD | _NORMS_AFTER,
)

_TANH: Final = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")
_MATRICES: Final = frozenset(
    {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down"}
)
_GPT2: Final = Family(
    architecture="gpt2",
    layer={
        "ln_1": "attn_norm",
        "attn.c_attn": "attn_qkv",
        "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    },
    outside={"model.wpe": "position_embd"},
    renamed={
        "transformer.h.": "model.layers.",
        "transformer.wte.": "model.embed_tokens.",
        "transformer.ln_f.": "model.norm.",
        "transformer.": "model.",
    },
    forms=dict.fromkeys(("attn_qkv", "attn_output", "ffn_up", "ffn_down"), "turned"),
    always_biased=frozenset(
        {"attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down"}
        | {"output_norm"}
    ),
    eps="layer_norm_epsilon",
    activations=_TANH,
    fixed_flags={
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
    },
)
_STARCODER2: Final = Family(
    architecture="starcoder2",
    layer={
        "input_layernorm": "attn_norm",
        **_ATTENTION,
        "post_attention_layernorm": "ffn_norm",
        "mlp.c_fc": "ffn_up",
        "mlp.c_proj": "ffn_down",
    },
    biased=_MATRICES,
    always_biased=frozenset({"attn_norm", "ffn_norm", "output_norm"}),
    eps="norm_epsilon",
    activations=_TANH,
)
_PHI2: Final = Family(
    architecture="phi2",
    layer={
        "input_layernorm": "attn_norm",
        **_ATTENTION,
        "mlp.fc1": "ffn_up",
        "mlp.fc2": "ffn_down",
    },
    renamed={"model.final_layernorm.": "model.norm."},
    aliases={"self_attn.dense": "self_attn.o_proj"},
    always_biased=_MATRICES | {"attn_norm", "output_norm", "output"},
    eps="layer_norm_eps",
    activations=_TANH,
    has_partial_rope=True,
    fixed_flags={"qk_layernorm": False},
)
_GEMMA: Final = Family(
    architecture="gemma",
    layer=_LAYER,
    norm_offset=1.0,
    activations=("gelu_pytorch_tanh", "gelu"),  # computed with tanh in either case
)
_COHERE_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **_ATTENTION,
    **_FEED_FORWARD,
}
_COMMAND_R: Final = Family(
    architecture="command-r",
    layer=_COHERE_LAYER | _HEAD_NORMS,
    present=dict.fromkeys(("attn_q_norm", "attn_k_norm"), ("use_qk_norm", True)),
    eps="layer_norm_eps",
    constants={"logit_scale": "logit_scale"},
)
_COHERE2: Final = Family(
    architecture="cohere2",
    layer=_COHERE_LAYER,
    eps="layer_norm_eps",
    constants={"logit_scale": "logit_scale"},
)
_STABLELM: Final = Family(
    architecture="stablelm",
    layer=_LAYER
    | {
        "self_attn.q_layernorm.norms": "attn_q_norm",
        "self_attn.k_layernorm.norms": "attn_k_norm",
    },
    stacked={
        "self_attn.q_layernorm.norms": "attn_q_norm",
        "self_attn.k_layernorm.norms": "attn_k_norm",
    },
    present={
        "attn_q_norm": ("qk_layernorm", True),
        "attn_k_norm": ("qk_layernorm", True),
        "ffn_norm": ("use_parallel_residual", False),
    },
    biased=frozenset({"attn_q", "attn_k", "attn_v"}),
    always_biased=frozenset({"attn_norm", "ffn_norm", "output_norm"}),
    eps="layer_norm_eps",
    has_partial_rope=True,
    flags={"use_parallel_residual": "use_parallel_residual"},
)
_FALCON: Final = Family(
    architecture="falcon",
    layer={
        "input_layernorm": "attn_norm",
        "ln_attn": "attn_norm_2",
        "self_attention.query_key_value": "attn_qkv",
        "self_attention.dense": "attn_output",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    },
    renamed={
        "transformer.h.": "model.layers.",
        "transformer.word_embeddings.": "model.embed_tokens.",
        "transformer.ln_f.": "model.norm.",
        "transformer.": "model.",
    },
    aliases={"ln_mlp": "input_layernorm"},
    present={"attn_norm_2": ("has_two_norms", True)},
    forms={"attn_qkv": "by_group"},
    always_biased=frozenset({"attn_norm", "attn_norm_2", "output_norm"}),
    eps="layer_norm_epsilon",
    activations=_TANH,
    exact_gelu="gelu",
    fixed_flags={"alibi": False, "parallel_attn": True, "bias": False},
)
_GPTNEOX: Final = Family(
    architecture="gptneox",
    layer={
        "input_layernorm": "attn_norm",
        "attention.query_key_value": "attn_qkv",
        "attention.dense": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "mlp.dense_h_to_4h": "ffn_up",
        "mlp.dense_4h_to_h": "ffn_down",
    },
    renamed={
        "gpt_neox.embed_in.": "model.embed_tokens.",
        "gpt_neox.final_layer_norm.": "model.norm.",
        "gpt_neox.": "model.",
        "embed_out.": "lm_head.",
    },
    forms={"attn_qkv": "by_group"},
    always_biased=frozenset(
        {"attn_norm", "attn_qkv", "attn_output", "ffn_norm", "ffn_up", "ffn_down"}
        | {"output_norm"}
    ),
    eps="layer_norm_eps",
    activations=_TANH,
    exact_gelu="gelu",
    has_partial_rope=True,
    flags={"use_parallel_residual": "use_parallel_residual"},
    fixed_flags={"attention_bias": True},
)
_ARCEE: Final = Family(
    architecture="arcee",
    layer={
        "input_layernorm": "attn_norm",
        **_ATTENTION,
        "post_attention_layernorm": "ffn_norm",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    biased=_MATRICES,
    is_interleaved=True,
    activations=("relu2",),
)
_APERTUS: Final = Family(
    architecture="apertus",
    layer={
        "attention_layernorm": "attn_norm",
        **_ATTENTION,
        **_HEAD_NORMS,
        "feedforward_layernorm": "ffn_norm",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    },
    biased=frozenset(_ATTENTION.values()),
    layer_constants={
        "mlp.act_fn.alpha_p": "xielu.alpha_p",
        "mlp.act_fn.alpha_n": "xielu.alpha_n",
        "mlp.act_fn.beta": "xielu.beta",
        "mlp.act_fn.eps": "xielu.eps",
    },
    activations=("xielu",),
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
    layer=_MIXTURE_LAYER | _HEAD_NORMS,
    mixture=Mixture(
        names=(_EXPERTS,), width="moe_intermediate_size", normalized="norm_topk_prob"
    ),
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
        **_ATTENTION,
        **_HEAD_NORMS,
        "post_attention_layernorm": "post_attention_norm",
        **_FEED_FORWARD,
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
    layer=_LAYER | _HEAD_NORMS | _ROUTER | _SHARED,
    present=_HAS_SHARED,
    mixture=_DEEPSEEK,
)
_ERNIE4_5_MOE: Final = Family(
    architecture="ernie4_5-moe",
    layer={
        **_LAYER,
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
        **_ATTENTION,
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
    layer=_COHERE_LAYER | {"mlp.gate": "ffn_gate_inp"} | _SHARED,
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
_GPT_OSS: Final = Family(
    architecture="gpt-oss",
    layer={
        "input_layernorm": "attn_norm",
        **_ATTENTION,
        "self_attn.sinks": "attn_sinks",
        "post_attention_layernorm": "post_attention_norm",
        "mlp.router": "ffn_gate_inp",
    },
    biased=frozenset(_ATTENTION.values()),
    always_biased=frozenset({"ffn_gate_inp"}),
    mixture=Mixture(names=(_EXPERTS,), is_turned=True, width="intermediate_size"),
    fixed={"swiglu_alpha": 1.702, "swiglu_limit": 7.0},
)

FAMILIES: Final = {
    "LlamaForCausalLM": _LLAMA,
    "MistralForCausalLM": _LLAMA,
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
    "GPT2LMHeadModel": _GPT2,
    "Starcoder2ForCausalLM": _STARCODER2,
    "PhiForCausalLM": _PHI2,
    "GemmaForCausalLM": _GEMMA,
    "CohereForCausalLM": _COMMAND_R,
    "Cohere2ForCausalLM": _COHERE2,
    "StableLmForCausalLM": _STABLELM,
    "FalconForCausalLM": _FALCON,
    "GPTNeoXForCausalLM": _GPTNEOX,
    "ArceeForCausalLM": _ARCEE,
    "ApertusForCausalLM": _APERTUS,
    "Glm4MoeForCausalLM": _GLM4MOE,
    "Dots1ForCausalLM": _DOTS1,
    "Ernie4_5_MoeForCausalLM": _ERNIE4_5_MOE,
    "HunYuanMoEV1ForCausalLM": _HUNYUAN_MOE,
    "Cohere2MoeForCausalLM": _COHERE2MOE,
}
"""Families by the name of their class, in `architectures` of config.json."""
