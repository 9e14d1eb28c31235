"""The LLaMA family: LLaMA 1-3, Mistral 7B, Mixtral, TinyLlama, SmolLM and their kin.

Touvron et al. 2023 (arXiv:2302.13971): pre-norm with RMS norms, rotary positions,
grouped-query attention (Ainslie et al. 2023, arXiv:2305.13245), SwiGLU. Biases and the
separate output matrix are optional. If a file names a window, as the first Mistral's
does (Jiang et al. 2023, arXiv:2310.06825), all layers have it. Mixtral (Jiang et al.
2024, arXiv:2401.04088) has experts, each as wide as the network of the others.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, as_wide, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors, optional_biases
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with experts as wide as its networks."""
    return layers_with(config, experts=as_wide)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, and matrices that may have biases."""
    matrices = attention_tensors(config, layer)
    network = feed_forward_tensors(config, layer)
    if layer.feed_forward.experts is None:
        matrices, network = matrices | network, {}
    norms = norm_tensors(config, "attn_norm", "ffn_norm")
    return norms | matrices | optional_biases(matrices) | network


def forward(model: Parts) -> Value:
    """Add to each row what attention and network make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, attention(block, block.norm(x, "attn_norm")))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)
