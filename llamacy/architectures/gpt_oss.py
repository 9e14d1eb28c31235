"""gpt-oss: experts with biases and a clamped gated unit, sinks, and windows by turns.

OpenAI 2025 (arXiv:2508.10925). Every other layer, the first among them, attends to a
window of the last tokens; each head has a sink, a score that takes part in the softmax
for no value. Positions are scaled by YaRN, whose correction range is not rounded to
whole pairs of dimensions here.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.experts import expert_bias_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, as_declared, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    norm_tensors,
    optional_biases,
    required,
)
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with the clamped unit."""
    return layers_with(
        config, is_neox=True, activation="clamped_swiglu", experts=as_declared
    )


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: a Mixtral's, with biases, and a sink a head."""
    assert layer.feed_forward.experts is not None
    matrices = attention_tensors(config, layer)
    return {
        **norm_tensors(config, "attn_norm", "post_attention_norm"),
        **matrices,
        **optional_biases(matrices),
        "attn_sinks.weight": required(layer.attention.n_head),
        **feed_forward_tensors(config, layer),
        **expert_bias_tensors(config.n_embd, layer.feed_forward.experts),
    }


def forward(model: Parts) -> Value:
    """Add as LLaMA does; the norm before the experts has another name."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, attention(block, block.norm(x, "attn_norm")))
        x = ops.add(x, feed_forward(block, block.norm(x, "post_attention_norm")))
    return model.logits(x)
