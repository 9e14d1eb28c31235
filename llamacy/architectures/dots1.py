"""dots.llm1: dense first layers, then experts with DeepSeek's router.

Huo et al. 2025 (arXiv:2506.05767): Qwen 3's attention, and experts beside one that all
tokens go through. A file that does not say what makes gates of scores has the sigmoid,
as in transformers; llama.cpp stops at such a file.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors, head_norm_tensors
from llamacy.architectures.experts import selection_bias_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with, with_shared
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    return layers_with(config, is_neox=True, experts=with_shared)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Qwen 3's, with the router's bias, if any."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        **head_norm_tensors(layer),
        **feed_forward_tensors(config, layer),
        **selection_bias_tensors(layer),
    }
