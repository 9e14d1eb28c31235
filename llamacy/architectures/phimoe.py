"""Phi-3.5 MoE: Mixtral's layers with layer norms and biases, and a sparse mixer.

Abdin et al. 2024 (arXiv:2404.14219); the router is SparseMixer's (Liu et al. 2024,
arXiv:2409.12136). llama.cpp and transformers compute different models, so the file
decides: one with llama.cpp's key for the epsilon of RMS norms has RMS norms, with
biases, and the softmax of the chosen experts' scores for a router. A folder, and a file
converted from it by llamacy, has layer norms and the sparse mixer. Texts beyond the
context of the first training have LongRoPE's other factors, as in Microsoft's code and
in llama.cpp; transformers 5.24 never takes these.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, as_wide, layers_with
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import (
    Specs,
    layer_norm_tensors,
    optional,
    optional_biases,
    required,
)
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, whose experts are as wide as its networks."""
    return layers_with(config, is_neox=True, experts=as_wide)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Mixtral's, with biases of norms and attention."""
    matrices = attention_tensors(config, layer)
    return {
        **layer_norm_tensors(config, "attn_norm", "ffn_norm"),
        **matrices,
        **optional_biases(matrices),
        **feed_forward_tensors(config, layer),
    }


def outside(config: ModelConfig) -> Specs:
    """Return the specs of the biases of the last norm and the output matrix."""
    return {
        "output_norm.bias": required(config.n_embd),
        "output.bias": optional(config.n_vocab),
    }
