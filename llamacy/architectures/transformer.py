"""What the dense families have in common: their tensors, and the parts of a layer.

A family puts these together as its paper does; what it has of its own, such as where
norms are, is in its file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llamacy.architectures.weights import TensorSpec, divisors, optional, required
from llamacy.config import ModelConfig
from llamacy.ops.rope import Rope
from llamacy.ops.state.specs import KeyValues
from llamacy.ops.vocabulary import Ops

Specs = dict[str, TensorSpec]


def model_tensors(config: ModelConfig, block: Mapping[str, TensorSpec]) -> Specs:
    """Specs of a model of layers that are each made of `block`.

    Parameters
    ----------
    config : the sizes.
    block : by name in a layer, ``"attn_q.weight"``.
    """
    is_long = config.rope.scaling == "longrope"
    factors = divisors(config.rope.n_dims // 2, is_required=is_long)
    specs = {
        "token_embd.weight": required(config.n_vocab, config.n_embd),
        "output_norm.weight": required(config.n_embd),
        "output.weight": optional(config.n_vocab, config.n_embd),
        "rope_freqs.weight": divisors(config.rope.n_dims // 2),
        "rope_factors_long.weight": factors,
        "rope_factors_short.weight": factors,
    }
    for layer in range(config.n_layer):
        prefix = f"blk.{layer}."
        specs |= {prefix + name: spec.within(prefix) for name, spec in block.items()}
    return specs


def attention_tensors(config: ModelConfig) -> Specs:
    """Specs of the matrices of one layer's attention."""
    n_q = config.n_head * config.head_dim
    n_kv = config.n_head_kv * config.head_dim
    return {
        "attn_q.weight": required(n_q, config.n_embd),
        "attn_k.weight": required(n_kv, config.n_embd),
        "attn_v.weight": required(n_kv, config.n_embd),
        "attn_output.weight": required(config.n_embd, n_q),
    }


def feed_forward_tensors(config: ModelConfig) -> Specs:
    """Specs of the matrices of one layer's gated feed-forward network."""
    return {
        "ffn_gate.weight": required(config.n_ff, config.n_embd),
        "ffn_up.weight": required(config.n_ff, config.n_embd),
        "ffn_down.weight": required(config.n_embd, config.n_ff),
    }


def norm_tensors(config: ModelConfig, *names: str) -> Specs:
    """Specs of norms over a whole row."""
    return {f"{name}.weight": required(config.n_embd) for name in names}


def optional_biases(matrices: Mapping[str, TensorSpec]) -> Specs:
    """Specs of biases that may come with these matrices."""
    return {
        name.replace(".weight", ".bias"): optional(spec.shape[0])
        for name, spec in matrices.items()
    }


def rope_of(
    config: ModelConfig, weights: Mapping[str, Any], *, is_neox: bool = False
) -> Rope:
    """Make the rotations of a model's positions.

    Its frequencies may be divided by `rope_freqs`, or by one of two sets of factors:
    one for a context as long as the model was first trained for, another for longer
    ones (LongRoPE, Ding et al. 2024, arXiv:2402.13753). Which of them is decided for
    all texts at once, by the context they may have, as keys are kept rotated.
    """
    factors = weights.get("rope_freqs.weight")
    if factors is None:
        length = "long" if config.is_long_context else "short"
        factors = weights.get(f"rope_factors_{length}.weight")
    return Rope.from_config(config.rope, config.head_dim, factors, is_neox=is_neox)


def window_of(
    config: ModelConfig, layer: int, period: int, default: int | None = None
) -> int | None:
    """Find how far back a layer's attention sees, None standing for all the way.

    A file may say which layers have its window; else all but every `period`-th have
    it, and all if `period` is 0. `default` is the window if it names none.
    """
    if config.windowed_layers is not None:
        has_window = config.windowed_layers[layer]
    else:
        has_window = period == 0 or layer % period < period - 1
    return (config.window or default) if has_window else None


def logits(
    ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any], x: Any
) -> Any:
    """Turn what the last layer leaves into logits: (n_wanted, n_vocab)."""
    x = ops.rms_norm(ops.wanted(x), weights["output_norm.weight"], config.norm_eps)
    return ops.linear(x, output_weight(weights))


def output_weight(weights: Mapping[str, Any]) -> Any:
    """Find the output matrix; a model without one reads its embedding backwards."""
    return weights.get("output.weight", weights["token_embd.weight"])


class Block:
    """One layer: its weights, and the ways they are applied.

    Parameters
    ----------
    ops : the executor.
    config : sizes and constants.
    weights : of the whole model.
    layer : number of the layer.
    """

    def __init__(
        self,
        ops: Ops[Any, Any],
        config: ModelConfig,
        weights: Mapping[str, Any],
        layer: int,
    ) -> None:
        self.ops, self.config, self.weights, self.layer = ops, config, weights, layer

    def weight(self, name: str) -> Any:
        """Find a weight of this layer, ``"attn_q.bias"``, or None."""
        return self.weights.get(f"blk.{self.layer}.{name}")

    def norm(self, x: Any, name: str) -> Any:
        """Norm rows, or the parts of them that the weight is for."""
        weight = self.weight(f"{name}.weight")
        return self.ops.rms_norm(x, weight, self.config.norm_eps)

    def linear(self, x: Any, name: str) -> Any:
        """Apply a matrix, and a bias where there is one."""
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.ops.linear(x, weight, bias)

    def attention(
        self,
        x: Any,
        rope: Rope | None,
        *,
        scale: float | None = None,
        window: int | None = None,
        softcap: float | None = None,
    ) -> Any:
        """Attend: (M, n_embd) to (M, n_embd).

        Queries and keys are normed where the layer has norms for them, and rotated
        where there is a `rope`; heads have sinks where the layer has them. The scale is
        the file's own, or else `scale`, or else one over the root of a head's
        dimensions.
        """
        q, k, v = (self.linear(x, name) for name in ("attn_q", "attn_k", "attn_v"))
        if self.weight("attn_q_norm.weight") is not None:
            q, k = self.norm(q, "attn_q_norm"), self.norm(k, "attn_k_norm")
        if rope is not None:
            q, k = self.ops.rope(q, rope), self.ops.rope(k, rope)
        scale = self.config.attention_scale or scale
        scale = scale or 1 / math.sqrt(self.config.head_dim)
        attended = self.ops.attention(
            *(q, k, v),
            state=KeyValues(
                self.layer,
                self.config.n_head_kv,
                self.config.head_dim,
                self.config.head_dim,
                window,
            ),
            scale=scale,
            softcap=softcap,
            sinks=self.weight("attn_sinks.weight"),
        )
        return self.linear(attended, "attn_output")

    def feed_forward(self, x: Any) -> Any:
        """SwiGLU: (M, n_embd) to (M, n_embd)."""
        gate, up = self.linear(x, "ffn_gate"), self.linear(x, "ffn_up")
        return self.linear(self.ops.silu_mul(gate, up), "ffn_down")

    def gelu_feed_forward(self, x: Any) -> Any:
        """GEGLU: (M, n_embd) to (M, n_embd)."""
        gate, up = self.linear(x, "ffn_gate"), self.linear(x, "ffn_up")
        return self.linear(self.ops.gelu_mul(gate, up), "ffn_down")
