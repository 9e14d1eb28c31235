"""Qwen 3.5, 3.6 and 3.8, dense: a gated delta rule, and attention in some layers.

Qwen Team 2026. Queries of attention come with a gate of their own, head by head, whose
sigmoid multiplies the result; only a part of each head is rotated. llama.cpp's files
have heads of values in an order in which head h reads head h % n of n heads of keys.
"""

from __future__ import annotations

from dataclasses import replace

from llamacy.architectures import mtp
from llamacy.architectures.attention import (
    attention_tensors,
    head_norm_tensors,
    key_values,
)
from llamacy.architectures.delta_rule import (
    delta_rule,
    delta_rule_mixer,
    delta_rule_tensors,
)
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.tensors import Specs, norm_tensors, required
from llamacy.config import AttentionConfig, DeltaRuleConfig, LayerConfig, ModelConfig

NORMS = ("attn_norm", "post_attention_norm")


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with heads in its order."""
    return tuple(map(with_repeated_keys, layers_with(config, is_neox=True)))


def with_repeated_keys(layer: LayerConfig) -> LayerConfig:
    """Return the layer, whose heads of keys follow each other over and over."""
    if not isinstance(layer.mixer, DeltaRuleConfig):
        return layer
    return replace(layer, mixer=replace(layer.mixer, key_head="modulo"))


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, a mixer, and a network."""
    return {
        **norm_tensors(config, *NORMS),
        **mixer_tensors(config, layer),
        **feed_forward_tensors(config, layer),
    }


def mixer_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's gated attention, or of its delta rule."""
    if isinstance(layer.mixer, AttentionConfig):
        return gated_attention_tensors(config, layer)
    n_head = delta_rule_mixer(layer).n_head
    return {
        **delta_rule_tensors(config, layer),
        "ssm_alpha.weight": required(n_head, config.n_embd),
        "ssm_beta.weight": required(n_head, config.n_embd),
    }


def gated_attention_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of attention whose queries come with gates."""
    specs = attention_tensors(config, layer) | head_norm_tensors(layer)
    n_q, n_embd = specs["attn_q.weight"].shape
    return specs | {"attn_q.weight": required(2 * n_q, n_embd)}


def forward(model: Parts) -> Value:
    """Add to each row what mixer and network make of its norm."""
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
    return block.ops.add(x, feed_forward(block, block.norm(x, "post_attention_norm")))


def mix(block: Block, x: Value) -> Value:
    """Attend, or apply the delta rule: (M, n_embd) to (M, n_embd)."""
    if isinstance(block.config.mixer, AttentionConfig):
        return gated_attention(block, x)
    weight, bias = block.weight("ssm_alpha.weight"), block.weight("ssm_dt.bias")
    steps = block.ops.linear(x, weight, bias, block.weight("ssm_alpha.scale"))
    return delta_rule(block, x, block.linear(x, "ssm_beta"), steps)


def gated_attention(block: Block, x: Value) -> Value:
    """Attend with queries that come with gates: (M, n_embd) to (M, n_embd)."""
    ops, mixer = block.ops, block.config.attention
    d, queries = mixer.head_dim, block.linear(x, "attn_q")
    q, gate = (ops.columns(queries, first, d, of=2 * d) for first in (0, d))
    q = _rotated(block, block.norm(q, "attn_q_norm"))
    k, v = keys_and_values(block, x)
    state = key_values(block.number, mixer)
    attended = ops.attention(q, k, v, state=state, scale=mixer.scale)
    return block.linear(ops.mul(attended, ops.sigmoid(gate)), "attn_output")


def keys_and_values(block: Block, x: Value) -> tuple[Value, Value]:
    """Make keys and values of normed rows: (M, n_head_kv * head_dim) each."""
    k = block.norm(block.linear(x, "attn_k"), "attn_k_norm")
    return _rotated(block, k), block.linear(x, "attn_v")


def _rotated(block: Block, x: Value) -> Value:
    mixer = block.config.attention
    if mixer.rope is None:
        return x
    return block.ops.rope(x, block.model.rope(mixer.rope, mixer.head_dim))
