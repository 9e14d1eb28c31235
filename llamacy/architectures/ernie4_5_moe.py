"""ERNIE 4.5: dense first layers, then experts that a bias helps to choose.

Baidu 2025 (ernie.baidu.com/blog/publication/ERNIE_Technical_Report.pdf). The softmax of
all scores makes the gates, which sum to 1 when they weigh, and rotated pairs are
neighbours. Biases of attention's output and of networks, for which llama.cpp has no
place, are none of the family's.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors
from llamacy.architectures.experts import selection_bias_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with, with_shared
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    return layers_with(config, experts=with_shared)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: LLaMA's, with the router's bias, if any."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        **feed_forward_tensors(config, layer),
        **selection_bias_tensors(layer),
    }
