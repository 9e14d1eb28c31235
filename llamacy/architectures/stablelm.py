"""StableLM 3B and StableLM 2: LLaMA's layers with layer norms.

Bellagente et al. 2024 (arXiv:2402.17834). Of each head a quarter of the dimensions is
rotated. StableLM 2 12B has one norm for both parts, which are parallel then, and norms
of each head's queries and keys, with weights of the head's own.
"""

from __future__ import annotations

from llamacy.architectures.attention import (
    attention,
    attention_tensors,
    norms_by_head,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    layer_norm_tensors,
    optional,
    required,
)
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with pairs in the order of GPT-NeoX."""
    return layers_with(config, is_neox=True)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: biases of queries, keys and values may be there."""
    return {
        **layer_norm_tensors(config, "attn_norm"),
        **attention_tensors(config, layer),
        **norms_by_head(layer),
        "ffn_norm.weight": optional(config.n_embd),
        "ffn_norm.bias": optional(config.n_embd),
        **feed_forward_tensors(config, layer),
    }


def outside(config: ModelConfig) -> Specs:
    """Return the spec of the bias of the last norm."""
    return {"output_norm.bias": required(config.n_embd)}


def forward(model: Parts) -> Value:
    """Add attention, then the network, which norms the sum unless they are parallel."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        size = block.config.mixer.head_dim
        x = ops.add(x, attention(block, h, norm_size=size))
        if block.weight("ffn_norm.weight") is not None:
            h = block.norm(x, "ffn_norm")
        x = ops.add(x, feed_forward(block, h))
    return model.logits(x)
