"""Qwen 3.5 and 3.6 with experts: Qwen 3.5's layers, with Qwen 2's shared expert."""

from __future__ import annotations

from llamacy.architectures import mtp, qwen35
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.qwen2moe import gated_mixture, with_shared_expert
from llamacy.architectures.qwen35 import (
    keys_and_values,
    mix,
    with_repeated_keys,
)
from llamacy.architectures.tensors import Specs, required
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with its experts and the shared one."""
    made = layers_with(config, is_neox=True, experts=with_shared_expert)
    return tuple(map(with_repeated_keys, made))


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Qwen 3.5's, with experts."""
    return {
        **qwen35.tensors(config, layer),
        "ffn_gate_inp_shexp.weight": required(config.n_embd),
    }


def forward(model: Parts) -> Value:
    """Add to each row what mixer and experts make of its norm."""
    x = model.embed()
    for block in model.layers():
        x = _through(block, x)
    if model.config.has_mtp:
        mtp.keep_up(model, x, keys_and_values)
    return model.logits(x)


def draft(model: Parts) -> Value:
    """Return the logits of the MTP head: see `mtp`."""
    return mtp.draft(model, _through)


def _through(block: Block, x: Value) -> Value:
    x = block.ops.add(x, mix(block, block.norm(x, "attn_norm")))
    return gated_mixture(block, x, "post_attention_norm")
