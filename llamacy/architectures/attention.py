"""Attention of a layer to keys and values of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.architectures.parts import Block, Value
from llamacy.architectures.tensors import Specs, TensorSpec, required
from llamacy.config import AttentionConfig, LayerConfig, ModelConfig
from llamacy.ops.state.specs import KeyValues


def attention_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of the four matrices of a layer's attention."""
    n_q, n_k, n_v, n_out = attention_widths(layer)
    return {
        "attn_q.weight": required(n_q, config.n_embd),
        "attn_k.weight": required(n_k, config.n_embd),
        "attn_v.weight": required(n_v, config.n_embd),
        "attn_output.weight": required(config.n_embd, n_out),
    }


def attention_widths(layer: LayerConfig) -> tuple[int, int, int, int]:
    """Return the widths of queries, keys, values, and of all heads' results."""
    mixer = layer.attention
    return (
        mixer.n_head * mixer.head_dim,
        mixer.n_head_kv * mixer.head_dim,
        mixer.n_head_kv * mixer.value_dim,
        mixer.n_head * mixer.value_dim,
    )


def head_norm_tensors(layer: LayerConfig) -> Specs:
    """Return the specs of norms of each head's queries and keys."""
    return {
        "attn_q_norm.weight": required(layer.attention.head_dim),
        "attn_k_norm.weight": required(layer.attention.head_dim),
    }


def norm_tensors_by_head(layer: LayerConfig) -> Specs:
    """Return the specs of norms of queries and keys, with weights of each head's own.

    Not all models of a family that has them need have them.
    """
    mixer = layer.attention
    return {
        f"attn_{part}_norm.weight": TensorSpec((n, mixer.head_dim), False, is_flat=True)
        for part, n in (("q", mixer.n_head), ("k", mixer.n_head_kv))
    }


def attention(
    block: Block,
    x: Value,
    *,
    norm_size: int | None = None,
    is_rotated_first: bool = False,
    gate: Value | None = None,
) -> Value:
    """Attend: (M, n_embd) to (M, n_embd).

    Queries and keys are normed where the layer has norms for them, and rotated where it
    has positions; heads have sinks where the layer has them.

    Parameters
    ----------
    block : Block
        The layer.
    x : Value
        Rows, (M, n_embd).
    norm_size : int or None
        Numbers that the norms of queries and keys take together; None for as many as
        their weights have.
    is_rotated_first : bool
        Whether queries and keys are rotated before they are normed, not after it.
    gate : Value or None
        Multiplies the results: (M, n_head), or a factor for each of their numbers.
    """
    ops, mixer = block.ops, block.config.attention
    q, k, v = (block.linear(x, name) for name in ("attn_q", "attn_k", "attn_v"))
    if is_rotated_first:
        q, k = _normed(block, *_rotated(block, q, k), norm_size)
    else:
        q, k = _rotated(block, *_normed(block, q, k, norm_size))
    state = key_values(block.number, mixer)
    attended = ops.attention(
        q,
        k,
        v,
        state=state,
        scale=mixer.scale,
        softcap=mixer.softcap,
        sinks=block.weight("attn_sinks.weight"),
        slopes=slopes(mixer.n_head, mixer.alibi_bias) if mixer.alibi_bias else None,
    )
    if gate is not None:
        is_by_head = block.weight("attn_gate.weight").shape[0] == mixer.n_head
        gated = ops.head_gate if is_by_head else ops.mul
        attended = gated(attended, gate)
    return block.linear(attended, "attn_output")


def key_values(layer: int, mixer: AttentionConfig) -> KeyValues:
    """Return the spec of the keys and values that the layer of this number keeps."""
    return KeyValues(
        layer,
        mixer.n_head_kv,
        mixer.head_dim,
        mixer.value_dim,
        mixer.window,
        is_causal=mixer.is_causal,
    )


def slopes(n_head: int, bias: float) -> NDArray[np.float32]:
    """Return by how much each head's scores fall with a token of distance.

    The slopes of 8 heads are 1/2, 1/4, ... 1/256 for a bias of 8 (Press et al. 2022,
    arXiv:2108.12409). Heads beyond a power of two have slopes that lie between those.
    """
    n_first = 1 << (n_head.bit_length() - 1)
    first = np.arange(1, n_first + 1) / n_first
    between = np.arange(1, 2 * (n_head - n_first), 2) / (2 * n_first)
    return np.exp2(-bias * np.concatenate([first, between])).astype(np.float32)


def _normed(block: Block, q: Value, k: Value, size: int | None) -> tuple[Value, Value]:
    """Norm queries and keys where the layer has norms for them."""
    if block.weight("attn_q_norm.weight") is None:
        return q, k
    return (
        block.norm(q, "attn_q_norm", size=size),
        block.norm(k, "attn_k_norm", size=size),
    )


def _rotated(block: Block, q: Value, k: Value) -> tuple[Value, Value]:
    """Rotate queries and keys where the layer has positions."""
    mixer, model = block.config.attention, block.model
    if mixer.rope is None:
        return q, k
    of_queries = model.rope(mixer.rope, mixer.head_dim)
    of_keys = model.rope(mixer.rope.of_keys, mixer.head_dim)
    return block.ops.rope(q, of_queries), block.ops.rope(k, of_keys)
