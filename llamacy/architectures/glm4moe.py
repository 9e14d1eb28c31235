"""GLM 4.5 to 4.7, GLM 4.5 Air and Solar Open: dense first layers, then experts.

Zeng et al. 2025 (arXiv:2508.06471): a router with DeepSeek's sigmoid and bias, and
experts beside one that all tokens go through. Only a part of each head is rotated, and
the largest models norm each head's queries and keys.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention_tensors, head_norm_tensors
from llamacy.architectures.experts import selection_bias_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.gpt_oss import forward
from llamacy.architectures.layers import Layers, layers_with, with_shared
from llamacy.architectures.tensors import Specs, all_optional, norm_tensors
from llamacy.config import LayerConfig, ModelConfig

__all__ = ["forward", "layers", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    return layers_with(config, is_neox=True, experts=with_shared)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: norms of heads, and the router's bias, if any."""
    return {
        **norm_tensors(config, "attn_norm", "post_attention_norm"),
        **attention_tensors(config, layer),
        **all_optional(head_norm_tensors(layer)),
        **feed_forward_tensors(config, layer),
        **selection_bias_tensors(layer),
    }
