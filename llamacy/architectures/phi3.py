"""Phi-3, Phi-3.5 and Phi-4: LLaMA's layers with projections stacked in one matrix.

Abdin et al. 2024 (arXiv:2404.14219). Queries, keys and values are one matrix, gate and
up another; they are taken apart as they are loaded. Pairs are half of the rotated
dimensions apart, which may be fewer than a head has. Models for long contexts have two
sets of factors for their frequencies; if a file names a window, all layers have it.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_widths
from llamacy.architectures.qwen2 import forward, layers
from llamacy.architectures.tensors import Specs, norm_tensors, required, stacked
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: LLaMA's, of which two are several in one."""
    n_embd, n_ff = config.n_embd, layer.feed_forward.n_ff
    n_q, n_k, n_v, n_out = attention_widths(layer)
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        "attn_qkv.weight": stacked(n_embd, attn_q=n_q, attn_k=n_k, attn_v=n_v),
        "attn_output.weight": required(n_embd, n_out),
        "ffn_up.weight": stacked(n_embd, ffn_gate=n_ff, ffn_up=n_ff),
        "ffn_down.weight": required(n_embd, n_ff),
    }
