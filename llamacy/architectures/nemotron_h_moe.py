"""Nemotron-H with experts in place of networks: Nemotron 3 Nano and Super.

NVIDIA 2025 (arXiv:2512.20856). Experts have a squared ReLU and no gate, and DeepSeek's
router (arXiv:2412.19437) chooses them; all tokens go through one more. In Super those
of a layer work on narrower rows, between two matrices that they share.
"""

from __future__ import annotations

from llamacy.architectures import nemotron_h
from llamacy.architectures.experts import selection_bias_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, with_shared
from llamacy.architectures.nemotron_h import forward
from llamacy.architectures.tensors import Specs, norm_tensors, optional_biases
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    return nemotron_h.layers(config, experts=with_shared)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Nemotron-H's, or a norm, a router and experts.

    Biases of matrices that all tokens go through are Hugging Face's.
    """
    if layer.feed_forward.experts is None:
        return nemotron_h.tensors(config, layer)
    matrices = feed_forward_tensors(config, layer)
    named = ("ffn_latent_", "ffn_up_shexp", "ffn_down_shexp")
    biased = {name: spec for name, spec in matrices.items() if name.startswith(named)}
    return {
        **norm_tensors(config, "attn_norm"),
        **matrices,
        **optional_biases(biased),
        **selection_bias_tensors(layer),
    }
