"""Apertus: Qwen3's norms of heads, and a network without a gate.

Hernandez-Cano et al. 2025 (arXiv:2509.14233). The activation is xIELU (Huang & Schlag
2024, arXiv:2411.13010), whose constants were learned in each layer: a file has them as
they come before a softplus.
"""

from __future__ import annotations

import math
from dataclasses import replace

from llamacy.architectures.attention import attention_tensors, head_norm_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import Specs, norm_tensors, optional
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with xIELU and the constants that it takes."""
    if config.layers[0].feed_forward.activation == "xielu":
        return config.layers
    return tuple(map(_layer, layers_with(config, is_neox=True, activation="xielu")))


def _layer(layer: LayerConfig) -> LayerConfig:
    network = layer.feed_forward
    alpha_p, alpha_n, beta, eps = network.constants
    constants = (_softplus(alpha_p), beta + _softplus(alpha_n), beta, eps)
    return replace(layer, feed_forward=replace(network, constants=constants))


def _softplus(x: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Qwen3's, and perhaps one bias."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        "attn_output.bias": optional(config.n_embd),
        **head_norm_tensors(layer),
        **feed_forward_tensors(config, layer),
    }
