"""A family for tests whose layers differ in everything in which layers may differ.

Its functions are what a file of `llamacy.architectures` has; `random_config` makes its
models, and `logits` computes them by the formulas of the papers, row by row in float64,
with nothing of llamacy but the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.architectures.attention import attention_tensors, head_norm_tensors
from llamacy.architectures.feed_forward import feed_forward_tensors
from llamacy.architectures.layers import Layers
from llamacy.architectures.llama import forward
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import (
    Activation,
    AttentionConfig,
    ExpertConfig,
    FeedForwardConfig,
    LayerConfig,
    ModelConfig,
    RopeConfig,
)

__all__ = ["forward", "layers", "tensors"]

Array = NDArray[np.float64]
Weights = dict[str, Array]
N_LAYER = 6


def layers(config: ModelConfig) -> Layers:
    """Return the layers of `random_config`."""
    return config.layers


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer; those without positions have norms of the heads."""
    return {
        **norm_tensors(config, "attn_norm", "ffn_norm"),
        **attention_tensors(config, layer),
        **(head_norm_tensors(layer) if layer.attention.rope is None else {}),
        **feed_forward_tensors(config, layer),
    }


def random_config(seed: int) -> ModelConfig:
    """Make a model: each layer is drawn by itself, but for one kind of each part."""
    rng = np.random.default_rng(seed)
    drawn = [_random_layer(rng, number) for number in rng.permutation(N_LAYER)]
    mixers = [layer.attention for layer in drawn]
    head_dim = max(mixer.head_dim for mixer in mixers)
    return ModelConfig(
        architecture="mixed",
        name="",
        n_layer=N_LAYER,
        n_embd=64,
        n_head=max(mixer.n_head for mixer in mixers),
        n_head_kv=max(mixer.n_head_kv for mixer in mixers),
        head_dim=head_dim,
        n_ff=max(layer.feed_forward.n_ff for layer in drawn),
        n_vocab=50,
        n_ctx_train=128,
        norm_eps=1e-5,
        rope=RopeConfig(n_dims=head_dim),
        layers=tuple(drawn),
    )


def _random_layer(rng: np.random.Generator, number: int) -> LayerConfig:
    """Draw a layer; of six numbers each part gets each of its kinds."""
    n_head_kv, head_dim = int(rng.integers(1, 5)), 8 * int(rng.integers(1, 6))
    n_dims = 2 * int(rng.integers(1, head_dim // 2 + 1))
    base = float(rng.choice([100.0, 10000.0, 1e6]))
    rope = RopeConfig(n_dims, base, is_neox=number % 2 == 0, has_factors=False)
    mixer = AttentionConfig(
        n_head=n_head_kv * int(rng.integers(1, 5)),
        n_head_kv=n_head_kv,
        head_dim=head_dim,
        value_dim=8 * int(rng.integers(1, 6)),
        scale=float(rng.uniform(0.05, 0.5)),
        window=int(rng.integers(1, 40)) if number % 3 else None,
        rope=rope if number != 1 else None,
        softcap=2.0 if number == 2 else None,
    )
    n_ff = 32 * int(rng.integers(1, 5))
    if number == 3:
        experts = ExpertConfig(5, 2, n_ff, is_normalized=True)
        return LayerConfig(mixer, FeedForwardConfig(n_ff, experts=experts))
    activation: Activation = "geglu" if number == 4 else "swiglu"
    return LayerConfig(mixer, FeedForwardConfig(n_ff, activation))


def logits(config: ModelConfig, weights: Mapping[str, Any], ids: list[int]) -> Array:
    """Compute the logits after each of `ids`: float64, (n_tokens, n_vocab)."""
    w = {name: np.asarray(values, np.float64) for name, values in weights.items()}
    eps = config.norm_eps
    x = w["token_embd.weight"][ids]
    for number, layer in enumerate(config.layers):
        prefix = f"blk.{number}."
        of_layer = {
            name.removeprefix(prefix).removesuffix(".weight"): values
            for name, values in w.items()
            if name.startswith(prefix)
        }
        h = _norm(x, of_layer["attn_norm"], eps)
        x = x + _attention(h, layer.attention, of_layer, eps)
        h = _norm(x, of_layer["ffn_norm"], eps)
        x = x + _feed_forward(h, layer.feed_forward, of_layer)
    x = _norm(x, w["output_norm.weight"], eps)
    out: Array = x @ w.get("output.weight", w["token_embd.weight"]).T
    return out


def _norm(x: Array, weight: Array, eps: float) -> Array:
    normed: Array = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight
    return normed


def _attention(x: Array, mixer: AttentionConfig, w: Weights, eps: float) -> Any:
    n_tokens = len(x)
    q = (x @ w["attn_q"].T).reshape(n_tokens, mixer.n_head, mixer.head_dim)
    k = (x @ w["attn_k"].T).reshape(n_tokens, mixer.n_head_kv, mixer.head_dim)
    v = (x @ w["attn_v"].T).reshape(n_tokens, mixer.n_head_kv, mixer.value_dim)
    if "attn_q_norm" in w:
        q, k = _norm(q, w["attn_q_norm"], eps), _norm(k, w["attn_k_norm"], eps)
    if mixer.rope is not None:
        q, k = _rotated(q, mixer.rope), _rotated(k, mixer.rope)
    out = np.empty((n_tokens, mixer.n_head, mixer.value_dim))
    for row in range(n_tokens):
        first = 0 if mixer.window is None else max(0, row + 1 - mixer.window)
        for head in range(mixer.n_head):
            of_kv = head // (mixer.n_head // mixer.n_head_kv)
            scores = mixer.scale * k[first : row + 1, of_kv] @ q[row, head]
            if mixer.softcap is not None:
                scores = mixer.softcap * np.tanh(scores / mixer.softcap)
            shares = np.exp(scores - scores.max())
            out[row, head] = shares / shares.sum() @ v[first : row + 1, of_kv]
    return out.reshape(n_tokens, -1) @ w["attn_output"].T


def _rotated(heads: Array, rope: RopeConfig) -> Array:
    """Rotate (n_tokens, n_head, head_dim) by their positions, pair by pair."""
    rotated, half = heads.copy(), rope.n_dims // 2
    for pair in range(half):
        i, j = (pair, pair + half) if rope.is_neox else (2 * pair, 2 * pair + 1)
        angle = np.arange(len(heads)) * rope.freq_base ** (-2 * pair / rope.n_dims)
        turn = np.exp(1j * angle)[:, None] * (heads[..., i] + 1j * heads[..., j])
        rotated[..., i], rotated[..., j] = turn.real, turn.imag
    return rotated


def _feed_forward(x: Array, network: FeedForwardConfig, w: Weights) -> Any:
    if network.experts is None:
        gate, up = x @ w["ffn_gate"].T, x @ w["ffn_up"].T
        return _gated(gate, up, network.activation) @ w["ffn_down"].T
    out = np.zeros_like(x)
    for row, scores in enumerate(x @ w["ffn_gate_inp"].T):
        chosen = np.argsort(-scores)[: network.experts.n_used]
        shares = np.exp(scores[chosen] - scores.max())
        for expert, share in zip(chosen, shares / shares.sum(), strict=True):
            gate = w["ffn_gate_exps"][expert] @ x[row]
            up = w["ffn_up_exps"][expert] @ x[row]
            hidden = _gated(gate, up, network.activation)
            out[row] += share * (w["ffn_down_exps"][expert] @ hidden)
    return out


def _gated(gate: Array, up: Array, activation: str) -> Any:
    if activation == "swiglu":
        return gate / (1 + np.exp(-gate)) * up
    inner = np.sqrt(2 / np.pi) * (gate + 0.044715 * gate**3)
    return 0.5 * gate * (1 + np.tanh(inner)) * up
