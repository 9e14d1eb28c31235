"""Names of the parts of a layer in most families, after `model.layers.N.`.

Such a table is in the order in which a forward pass needs its parts.
"""

from __future__ import annotations

from typing import Final

from llamacy.formats.hugging_face.family import ExpertNames

ATTENTION: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
}
HEAD_NORMS: Final = {
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
}
FEED_FORWARD: Final = {
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
LAYER: Final = {
    "input_layernorm": "attn_norm",
    **ATTENTION,
    "post_attention_layernorm": "ffn_norm",
    **FEED_FORWARD,
}
QKV: Final = ("attn_q", "attn_k", "attn_v")
"""GGUF's names of the matrices of queries, keys and values."""

MATRICES: Final = frozenset((ATTENTION | FEED_FORWARD).values())
"""All matrices of a layer, by their GGUF names."""

MIXTURE_LAYER: Final = {
    "input_layernorm": "attn_norm",
    **ATTENTION,
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate": "ffn_gate_inp",
}
"""A layer with experts in place of a network."""

SHARED_EXPERT: Final = {
    "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
    "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp",
}
"""An expert that all rows go through, and its gate."""

EXPERTS: Final = ExpertNames("mlp.experts", "gate_proj", "up_proj", "down_proj")
"""Experts of most mixtures."""
