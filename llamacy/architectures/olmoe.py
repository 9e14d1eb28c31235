"""OLMoE: LLaMA's layers with experts, and norms of whole queries and keys.

Muennighoff et al. 2024 (arXiv:2409.02060). The weights of a token's experts are shares
of the softmax of all scores.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors, attention_widths
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, as_wide, layers_with
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import Specs, norm_tensors, required
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with experts as wide as its networks."""
    return layers_with(config, is_neox=True, experts=as_wide)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: the norms' weights are as long as what they norm."""
    n_q, n_k, *_ = attention_widths(layer)
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        "attn_q_norm.weight": required(n_q),
        "attn_k_norm.weight": required(n_k),
        **feed_forward_tensors(config, layer),
    }
