"""GPT-2: learned positions, layer norms with biases, and a network without a gate.

Radford et al. 2019 (Language Models are Unsupervised Multitask Learners): LLaMA's order
of norms and parts, with biases everywhere. The network's activation is GELU with tanh.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import (
    Specs,
    layer_norm_tensors,
    required,
    required_biases,
)
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with GELU."""
    return layers_with(config, activation="gelu")


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, and matrices, all with biases."""
    matrices = attention_tensors(config, layer) | feed_forward_tensors(config, layer)
    norms = layer_norm_tensors(config, "attn_norm", "ffn_norm")
    return norms | matrices | required_biases(matrices)


def outside(config: ModelConfig) -> Specs:
    """Return the specs of the positions, and of the bias of the last norm."""
    return {
        "position_embd.weight": required(config.n_ctx_train, config.n_embd),
        "output_norm.bias": required(config.n_embd),
    }
