"""Encoders that transformers does not have: their folders, and formulas in float64.

Each is written from its paper, and the names are those of its makers' own code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.hugging_face import write_json, write_safetensors

Array = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]
Shapes = dict[str, tuple[int, ...]]

N_VOCAB, N_EMBD, N_FF, N_LAYER, N_HEAD = 60, 48, 64, 4, 6
N_EXPERT, N_USED, EPS = 5, 2, 1e-5
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": N_EMBD,
    "intermediate_size": N_FF,
    "num_hidden_layers": N_LAYER,
    "num_attention_heads": N_HEAD,
    "max_position_embeddings": 128,
    "layer_norm_eps": EPS,
}
_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True)
class Encoder:
    """A model: its config.json, the shapes of its tensors, and its formula.

    Attributes
    ----------
    config : dict
        The keys of config.json.
    shapes : dict
        Shapes of the tensors by their names.
    rows : callable
        Given weights and the ids of a text, returns its last rows: (n, N_EMBD).
    """

    config: dict[str, Any]
    shapes: Shapes
    rows: Callable[[Weights, list[int]], Array]

    def write(self, folder: Path) -> Weights:
        """Write a folder of random weights, and return them."""
        folder.mkdir()
        rng = np.random.default_rng(3)
        weights: Weights = {}
        for name, shape in self.shapes.items():
            values = rng.standard_normal(shape)
            if "orm" in name or "emb_ln" in name:
                values = 0.2 * values + name.endswith("weight")
            elif len(shape) > 1 and "embeddings" not in name:
                values *= 1.5 / math.sqrt(shape[-1])
            weights[name] = values.astype(np.float32)
        write_json(folder / "config.json", self.config)
        write_safetensors(folder / "model.safetensors", weights)
        return weights


def _gelu(x: Array) -> Array:
    y: Array = x * (1 + _erf(x / math.sqrt(2))) / 2
    return y


def _norm(w: Weights, name: str, x: Array) -> Array:
    x = x - x.mean(axis=-1, keepdims=True)
    y: Array = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS)
    return y * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(w: Weights, name: str, x: Array) -> Array:
    y: Array = x @ w[f"{name}.weight"].T.astype(np.float64)
    if f"{name}.bias" in w:
        y += w[f"{name}.bias"]
    return y


def _softmax(x: Array) -> Array:
    y: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    y /= y.sum(axis=-1, keepdims=True)
    return y


def _attended(q: Array, k: Array, v: Array, bias: Array | float = 0.0) -> Array:
    """Attend with all heads; `bias` is added to scores: (N_HEAD, n, n)."""
    q, k, v = (x.reshape(len(x), N_HEAD, -1).swapaxes(0, 1) for x in (q, k, v))
    scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1]) + bias
    y: Array = (_softmax(scores) @ v).swapaxes(0, 1)
    return y.reshape(y.shape[0], -1)


def _alibi(n: int) -> Array:
    """Return what is added to the scores of 6 heads: of 4, and 2 between them."""
    slopes = np.array([2**-2.0, 2**-4.0, 2**-6.0, 2**-8.0, 2**-1.0, 2**-3.0])
    distances = np.abs(np.arange(n)[:, None] - np.arange(n))
    bias: Array = -slopes[:, None, None] * distances
    return bias


def _rotated(x: Array, base: float) -> Array:
    n, dim = len(x), N_EMBD // N_HEAD
    angles = np.arange(n)[:, None] * base ** (-np.arange(0, dim, 2) / dim)
    turns = np.exp(1j * angles)[:, None]
    a, b = np.split(x.reshape(n, N_HEAD, dim), 2, axis=-1)
    pairs = (a + 1j * b) * turns
    y: Array = np.concatenate([pairs.real, pairs.imag], axis=-1)
    return y.reshape(n, N_EMBD)


def _jina_v2(w: Weights, ids: list[int]) -> Array:
    x: Array = w["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = _norm(w, "embeddings.LayerNorm", x)
    for layer in range(N_LAYER):
        p = f"encoder.layer.{layer}"
        x = _of_jina(w, p, x)
    return x


def _of_jina(w: Weights, p: str, x: Array) -> Array:
    """One layer of Jina v2, or of its model for code."""
    own, is_code = f"{p}.attention.self", f"{p}.layer_norm_1.weight" in w
    q, k, v = (_linear(w, f"{own}.{n}", x) for n in ("query", "key", "value"))
    if is_code:
        q, k = _norm(w, f"{own}.layer_norm_q", q), _norm(w, f"{own}.layer_norm_k", k)
    attended = _attended(q, k, v, _alibi(len(x)))
    h = x + _linear(w, f"{p}.attention.output.dense", attended)
    h = _norm(w, f"{p}.attention.output.LayerNorm", h)
    if is_code:
        h = _norm(w, f"{p}.layer_norm_1", x + h)
        up, gate = np.split(_linear(w, f"{p}.mlp.up_gated_layer", h), 2, axis=-1)
        y = _linear(w, f"{p}.mlp.down_layer", up * _gelu(gate))
        return _norm(w, f"{p}.layer_norm_2", h + y)
    gate, up = np.split(_linear(w, f"{p}.mlp.gated_layers", h), 2, axis=-1)
    y = _linear(w, f"{p}.mlp.wo", _gelu(gate) * up)
    return _norm(w, f"{p}.mlp.layernorm", h + y)


def _nomic_moe(w: Weights, ids: list[int]) -> Array:
    x: Array = w["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    x = _norm(w, "emb_ln", x + w["embeddings.token_type_embeddings.weight"][0])
    for layer in range(N_LAYER):
        p = f"encoder.layers.{layer}"
        q, k, v = np.split(_linear(w, f"{p}.attn.Wqkv", x), 3, axis=-1)
        attended = _attended(_rotated(q, 5000.0), _rotated(k, 5000.0), v)
        x = _norm(w, f"{p}.norm1", x + _linear(w, f"{p}.attn.out_proj", attended))
        if layer % 2:
            y = _mixture(w, f"{p}.mlp", x)
        else:
            y = _linear(w, f"{p}.mlp.fc2", _gelu(_linear(w, f"{p}.mlp.fc1", x)))
        x = _norm(w, f"{p}.norm2", x + y)
    return x


def _mixture(w: Weights, p: str, x: Array) -> Array:
    """The two likeliest experts of each row, weighted by their own likelihoods."""
    gates = _softmax(_linear(w, f"{p}.router.layer", x))
    up, down = (
        w[f"{p}.experts.mlp.{n}"].reshape(N_EXPERT, N_FF, N_EMBD).astype(np.float64)
        for n in ("w1", "w2")
    )
    y = np.zeros_like(x) + w[f"{p}.experts.bias"]
    for row, gate in enumerate(gates):
        for expert in np.argsort(-gate)[:N_USED]:
            y[row] += gate[expert] * (_gelu(x[row] @ up[expert].T) @ down[expert])
    return y


def _matrix(name: str, n_out: int, n_in: int, *, has_bias: bool = True) -> Shapes:
    shapes: Shapes = {f"{name}.weight": (n_out, n_in)}
    return shapes | ({f"{name}.bias": (n_out,)} if has_bias else {})


def _norms(*names: str) -> Shapes:
    return {f"{n}.{part}": (N_EMBD,) for n in names for part in ("weight", "bias")}


def _embeddings(n_types: int) -> Shapes:
    return {
        "embeddings.word_embeddings.weight": (N_VOCAB, N_EMBD),
        "embeddings.token_type_embeddings.weight": (n_types, N_EMBD),
    }


def _jina_shapes(*, is_code: bool) -> Shapes:
    shapes = _embeddings(2) | _norms("embeddings.LayerNorm")
    for layer in range(N_LAYER):
        p = f"encoder.layer.{layer}"
        own = f"{p}.attention.self"
        for name in ("query", "key", "value"):
            shapes |= _matrix(f"{own}.{name}", N_EMBD, N_EMBD)
        shapes |= _matrix(f"{p}.attention.output.dense", N_EMBD, N_EMBD)
        shapes |= _norms(f"{p}.attention.output.LayerNorm")
        norms = [f"{own}.layer_norm_q", f"{own}.layer_norm_k"]
        norms += [f"{p}.layer_norm_1", f"{p}.layer_norm_2"]
        up, down = (
            ("up_gated_layer", "down_layer") if is_code else ("gated_layers", "wo")
        )
        shapes |= _norms(*(norms if is_code else [f"{p}.mlp.layernorm"]))
        shapes |= _matrix(f"{p}.mlp.{up}", 2 * N_FF, N_EMBD, has_bias=False)
        shapes |= _matrix(f"{p}.mlp.{down}", N_EMBD, N_FF)
    return shapes


def _nomic_shapes() -> Shapes:
    shapes = _embeddings(2) | _norms("emb_ln")
    for layer in range(N_LAYER):
        p = f"encoder.layers.{layer}"
        shapes |= _matrix(f"{p}.attn.Wqkv", 3 * N_EMBD, N_EMBD)
        shapes |= _matrix(f"{p}.attn.out_proj", N_EMBD, N_EMBD)
        shapes |= _norms(f"{p}.norm1", f"{p}.norm2")
        if layer % 2:
            shapes |= _matrix(f"{p}.mlp.router.layer", N_EXPERT, N_EMBD, has_bias=False)
            shapes |= dict.fromkeys(
                (f"{p}.mlp.experts.mlp.w1", f"{p}.mlp.experts.mlp.w2"),
                (N_EXPERT * N_FF, N_EMBD),
            )
            shapes[f"{p}.mlp.experts.bias"] = (N_EMBD,)
        else:
            shapes |= _matrix(f"{p}.mlp.fc1", N_FF, N_EMBD)
            shapes |= _matrix(f"{p}.mlp.fc2", N_EMBD, N_FF)
    return shapes


_JINA: dict[str, Any] = {
    **SIZES,
    "architectures": ["JinaBertForMaskedLM"],
    "model_type": "bert",
    "position_embedding_type": "alibi",
    "feed_forward_type": "geglu",
    "emb_pooler": "mean",
}
_CODE = "jinaai/jina-bert-v2-qk-post-norm--modeling_bert.JinaBertModel"
ENCODERS = {
    "jina v2": Encoder(_JINA, _jina_shapes(is_code=False), _jina_v2),
    "jina v2, code": Encoder(
        {**_JINA, "auto_map": {"AutoModel": _CODE}},
        _jina_shapes(is_code=True),
        _jina_v2,
    ),
    "nomic, experts": Encoder(
        {
            "architectures": ["NomicBertModel"],
            "model_type": "nomic_bert",
            "activation_function": "gelu",
            "causal": False,
            "layer_norm_epsilon": EPS,
            **{"mlp_fc1_bias": True, "mlp_fc2_bias": True, "qkv_proj_bias": True},
            **{"moe_every_n_layers": 2, "moe_normalize_expert_weights": False},
            **{"moe_top_k": N_USED, "num_experts": N_EXPERT, "num_shared_experts": 0},
            **{"n_embd": N_EMBD, "n_head": N_HEAD, "n_inner": N_FF, "n_layer": N_LAYER},
            **{"n_positions": 2048, "max_trained_positions": 2048, "prenorm": False},
            **{"rotary_emb_base": 5000, "rotary_emb_fraction": 1.0},
            "rotary_emb_interleaved": False,
            "rotary_emb_scale_base": None,
            "type_vocab_size": 2,
            "vocab_size": N_VOCAB,
        },
        _nomic_shapes(),
        _nomic_moe,
    ),
}
"""Models by name."""
