"""Model families as Hugging Face has them: a row each, with the other names of things.

A row says which GGUF architecture a class of transformers is, how its tensors' names
translate, and which of its tensors and settings GGUF files have in another form. The
forms are those llama.cpp's converter gives them. Adding a family is adding a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

OUTSIDE: Final = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
}
"""Names of what is outside the layers."""

IGNORED: Final = ("rotary_emb.inv_freq",)
"""Ends of names that old checkpoints have and nothing needs: computed from the rest."""

# Names of the parts of a layer, after ``model.layers.N.``.
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
_GEMMA_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **_ATTENTION,
    "pre_feedforward_layernorm": "ffn_norm",
    **_FEED_FORWARD,
    **_NORMS_AFTER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One class of models of transformers.

    Attributes
    ----------
    architecture : its name in ``general.architecture``.
    layer : names of the parts of a layer, in GGUF by those in Hugging Face's files.
    biased : the parts, by their GGUF names, that may have a bias.
    is_interleaved : whether GGUF has side by side the rows of Q and K that are rotated
        together, which in Hugging Face's files are half a head apart.
    norm_offset : what GGUF files have added to the weights of norms.
    is_tied : whether the embeddings serve as the output matrix, where nothing is said.
    activations : names of the one activation of the feed-forward part.
    freq_base : of the rotations, where nothing is said.
    local_freq_base : that of layers with a window; None for the same.
    has_longrope : whether LongRoPE's factors may be among its tensors.
    has_window : whether attention may be limited to a window.
    window_period : all but every so many-th layer have it; 0 stands for all.
    no_rope_period : every so many-th layer has no positions; 0 for none.
    constants : keys of constants, in GGUF by those in config.json.
    scalar : key in config.json of what scores are divided by the root of, if any.
    refused : keys of constants that must not be there: GGUF has none for them.
    """

    architecture: str
    layer: Mapping[str, str] = field(default_factory=lambda: _LAYER)
    biased: frozenset[str] = frozenset()
    is_interleaved: bool = False
    norm_offset: float = 0.0
    is_tied: bool = False
    activations: tuple[str, ...] = ("silu", "swish")
    freq_base: float = 10000.0
    local_freq_base: float | None = None
    has_longrope: bool = False
    has_window: bool = False
    window_period: int = 0
    no_rope_period: int = 0
    constants: Mapping[str, str] = field(default_factory=dict)
    scalar: str = ""
    refused: tuple[str, ...] = ()


_ALL_MATRICES: Final = frozenset((_ATTENTION | _FEED_FORWARD).values())

_LLAMA: Final = Family(
    architecture="llama", biased=_ALL_MATRICES, is_interleaved=True, has_window=True
)
_QWEN2: Final = Family(
    architecture="qwen2", biased=frozenset({"attn_q", "attn_k", "attn_v"})
)
_QWEN3: Final = Family(architecture="qwen3", layer=_LAYER | _HEAD_NORMS)
_GEMMA2: Final = Family(
    architecture="gemma2",
    layer=_GEMMA_LAYER,
    norm_offset=1.0,
    is_tied=True,
    activations=("gelu_pytorch_tanh",),
    has_window=True,
    window_period=2,
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
    is_tied=True,
    activations=("gelu_pytorch_tanh",),
    freq_base=1e6,
    local_freq_base=10000.0,
    has_window=True,
    window_period=6,
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
    has_longrope=True,
    has_window=True,
)
_SMOLLM3: Final = Family(
    architecture="smollm3",
    biased=_ALL_MATRICES,
    is_interleaved=True,
    is_tied=True,
    freq_base=2e6,
    no_rope_period=4,
)
_GRANITE: Final = Family(
    architecture="granite",
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
    has_window=True,  # which OLMo 3 alone has
    window_period=4,
    freq_base=5e5,
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
}
"""Families by the name of their class, in ``architectures`` of config.json."""
