"""Families with layer norms in place of RMS norms, most of them without gates."""

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

_MATRICES: Final = MATRICES - {"ffn_gate"}
_TANH: Final = ("gelu_new", "gelu_pytorch_tanh", "gelu_fast")
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
        **ATTENTION,
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
        **ATTENTION,
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
_COHERE_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **ATTENTION,
    **FEED_FORWARD,
}
_COMMAND_R: Final = Family(
    architecture="command-r",
    layer=_COHERE_LAYER | HEAD_NORMS,
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
    layer=LAYER
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
    biased=frozenset(QKV),
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

LAYER_NORM_FAMILIES: Final[Mapping[str, Family]] = {
    "GPT2LMHeadModel": _GPT2,
    "Starcoder2ForCausalLM": _STARCODER2,
    "PhiForCausalLM": _PHI2,
    "CohereForCausalLM": _COMMAND_R,
    "Cohere2ForCausalLM": _COHERE2,
    "StableLmForCausalLM": _STABLELM,
    "FalconForCausalLM": _FALCON,
    "GPTNeoXForCausalLM": _GPTNEOX,
}
"""These families by the name of their class."""
