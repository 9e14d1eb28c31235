"""Gemma 4, text: attention to the keys of earlier layers, and embeddings of each layer.

Google 2026. Gemma 3's layers, with these differences:

- Heads of layers with a window have another size than those of the others. Their
  values are normed without weights, scores are not scaled, and layers without a matrix
  for values norm the product with that of keys for both.
- In small models the last layers have no keys of their own: they attend to those of
  the last layer of their kind that has. They compute the rows whose logits are wanted,
  and no others, which saves much of a prompt.
- In small models each layer adds the token's embedding of its own, mixed with a
  projection of the first residual, and gated by the residual of the layer. Their table
  is larger than all other weights, and is left in the file.
- In the mixture of experts a dense network stands beside the experts, whose router has
  a norm of its own.

The tensors are llama.cpp's; weights of norms hold no 1 more than the file says.
"""

from __future__ import annotations

import math
from typing import Final

from llamacy.architectures.attention import (
    attention_tensors,
    head_norm_tensors,
    key_values,
)
from llamacy.architectures.experts import expert_tensors, mixture
from llamacy.architectures.feed_forward import dense_network, dense_tensors
from llamacy.architectures.gemma2 import NORMS
from llamacy.architectures.layers import Layers, as_declared, layers_with
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.tensors import (
    Specs,
    TensorSpec,
    divisors,
    norm_tensors,
    optional,
    required,
    unused,
)
from llamacy.config import LayerConfig, ModelConfig, SharedAttentionConfig

_EXPERT_NORMS: Final = ("post_ffw_norm_1", "pre_ffw_norm_2", "post_ffw_norm_2")
_TABLE: Final = "per_layer_token_embd.weight"


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with scores as they are and GEGLU."""
    return layers_with(
        config, is_neox=True, scale=1.0, activation="geglu", experts=as_declared
    )


def outside(config: ModelConfig) -> Specs:
    """Return the specs of the layers' own embeddings, and of divisors of rotations.

    Layers without a window would rotate all of their dimensions without divisors.
    """
    n, n_layer = config.n_embd_per_layer, config.n_layer
    specs: Specs = {}
    if any(layer.attention.window is None for layer in config.layers):
        n_pairs = config.rope.n_dims // 2
        specs["rope_freqs.weight"] = divisors(n_pairs, is_required=True)
    if n:
        table = (config.n_vocab, n_layer * n)
        specs[_TABLE] = TensorSpec(table, True, is_mapped=True)
        specs["per_layer_model_proj.weight"] = required(n_layer * n, config.n_embd)
        specs["per_layer_proj_norm.weight"] = required(n)
    return specs


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: Gemma 3's, and those of the parts that it has."""
    n, n_embd = config.n_embd_per_layer, config.n_embd
    specs = {
        **norm_tensors(config, *NORMS),
        **_attention_tensors(config, layer),
        **dense_tensors(config, layer),
        "layer_output_scale.weight": TensorSpec((1,), False, is_constant=True),
    }
    if n:
        specs |= norm_tensors(config, "post_norm") | {
            "inp_gate.weight": required(n, n_embd),
            "proj.weight": required(n_embd, n),
        }
    if (experts := layer.feed_forward.experts) is not None:
        specs |= norm_tensors(config, *_EXPERT_NORMS) | expert_tensors(n_embd, experts)
        specs["ffn_gate_inp.scale"] = required(n_embd)
        specs["ffn_down_exps.scale"] = optional(experts.n_expert)
    return specs


def _attention_tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer's attention.

    Files may have matrices of keys and values in layers that read another's.
    """
    mixer = layer.attention
    specs = attention_tensors(config, layer) | head_norm_tensors(layer)
    own = ("attn_k.weight", "attn_v.weight", "attn_k_norm.weight")
    if isinstance(mixer, SharedAttentionConfig):
        return specs | unused({name: specs[name] for name in own})
    if mixer.value_dim == mixer.head_dim:
        specs["attn_v.weight"] = optional(*specs["attn_v.weight"].shape)
    return specs


def forward(model: Parts) -> Value:
    """Norm what parts read and what they add; scale each layer; bound the logits."""
    ops, config = model.ops, model.config
    n, cap = config.n_embd_per_layer, config.logit_softcap
    x = ops.scale(model.embed(), math.sqrt(config.n_embd))
    embeddings = _embeddings_per_layer(model, x) if n else None
    n_own = config.n_layer if model.has_all_rows else _n_own(config)
    for block in model.layers():
        if block.number == n_own:  # nothing reads the other rows from here on
            x = ops.wanted(x)
            embeddings = ops.wanted(embeddings) if embeddings is not None else None
        h = _attention(block, block.norm(x, "attn_norm"))
        x = ops.add(x, block.norm(h, "post_attention_norm"))
        x = ops.add(x, block.norm(_network(block, x), "post_ffw_norm"))
        if embeddings is not None:
            h = ops.gelu(block.linear(x, "inp_gate"))
            h = ops.mul(h, ops.columns(embeddings, block.number * n, n))
            x = ops.add(x, block.norm(block.linear(h, "proj"), "post_norm"))
        factor = block.weight("layer_output_scale.weight")
        if factor is not None:
            x = ops.scale(x, float(factor[0]))
    x = model.logits(x, of_wanted=n_own < config.n_layer)
    return x if cap is None else ops.softcap(x, cap)


def _n_own(config: ModelConfig) -> int:
    """Count the layers up to the last one that has keys and values of its own."""
    return 1 + max(
        number
        for number, layer in enumerate(config.layers)
        if not isinstance(layer.attention, SharedAttentionConfig)
    )


def _embeddings_per_layer(model: Parts, x: Value) -> Value:
    """Return the embeddings of all layers side by side: (M, n_layer * n)."""
    ops, weights, config = model.ops, model.weights, model.config
    projected = ops.linear(x, weights["per_layer_model_proj.weight"])
    projected = ops.scale(projected, 1 / math.sqrt(config.n_embd))
    projected = model.norm(projected, weights["per_layer_proj_norm.weight"])
    rows = ops.scale(ops.embedding(weights[_TABLE]), math.sqrt(config.n_embd_per_layer))
    return ops.scale(ops.add(projected, rows), math.sqrt(0.5))


def _attention(block: Block, x: Value) -> Value:
    """Attend to the layer's own keys and values, or to those of an earlier layer."""
    ops, mixer = block.ops, block.config.attention
    q = block.norm(block.linear(x, "attn_q"), "attn_q_norm")
    q = _rotated(block, q)
    if isinstance(mixer, SharedAttentionConfig):
        state = key_values(mixer.source, mixer)
        attended = ops.shared_attention(
            q,
            state=state,
            scale=mixer.scale,
            of_wanted=not block.model.has_all_rows,
        )
        return block.linear(attended, "attn_output")
    k = block.linear(x, "attn_k")
    has_values = block.weight("attn_v.weight") is not None
    v = block.linear(x, "attn_v") if has_values else k
    v = block.model.norm(v, None, size=mixer.value_dim)
    k = _rotated(block, block.norm(k, "attn_k_norm"))
    state = key_values(block.number, mixer)
    attended = ops.attention(q, k, v, state=state, scale=mixer.scale)
    return block.linear(attended, "attn_output")


def _rotated(block: Block, x: Value) -> Value:
    mixer = block.config.attention
    if mixer.rope is None:
        return x
    rope = block.model.rope(mixer.rope, mixer.head_dim)
    is_shared = isinstance(mixer, SharedAttentionConfig)
    is_cut = is_shared and not block.model.has_all_rows
    return block.ops.rope(x, rope, of_wanted=is_cut)


def _network(block: Block, x: Value) -> Value:
    """Apply the dense network and, where there are experts, add theirs."""
    ops, experts = block.ops, block.config.feed_forward.experts
    h = dense_network(block, block.norm(x, "ffn_norm"))
    if experts is None:
        return h
    router = block.model.norm(x, block.weight("ffn_gate_inp.scale"))
    router = ops.scale(router, 1 / math.sqrt(block.model.config.n_embd))
    scores = ops.linear(router, block.weight("ffn_gate_inp.weight"))
    chosen = mixture(block, block.norm(x, "pre_ffw_norm_2"), experts, "geglu", scores)
    return ops.add(
        block.norm(h, "post_ffw_norm_1"), block.norm(chosen, "post_ffw_norm_2")
    )
