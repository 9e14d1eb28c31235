"""Forward passes as graphs of the vocabulary's operations, and weights for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from llamacy.config import ModelConfig, RopeConfig
from llamacy.ops.adapters import LowRank
from llamacy.ops.experts import Experts
from llamacy.ops.rope import Rope

Array = NDArray[np.float32]

N_EMBD, _, N_VOCAB = WIDTHS = (32, 16, 24)
N_HEAD = 8  # of the smallest heads
N_EXPERT = 3
N_POSITIONS = 48
N_TYPES = 3
KERNELS = (2, 3, 7)
Kind = Literal["swiglu", "geglu", "clamped_swiglu", "relu_squared"]
EXPERTS: tuple[Kind, ...] = ("swiglu", "geglu", "clamped_swiglu", "relu_squared")
ADAPTED = ("", "gate", "gate up", "down")  # parts of experts that have adapters
CONFIG = ModelConfig(
    architecture="test",
    name="",
    n_layer=3,
    n_embd=N_EMBD,
    n_head=2,
    n_head_kv=1,
    head_dim=16,
    n_ff=N_EMBD,
    n_vocab=N_VOCAB,
    n_ctx_train=256,
    norm_eps=0.1,
    rope=RopeConfig(n_dims=16),
    n_token_types=N_TYPES,
)
N_LAYER = 3
# Of a layer's attention: heads of queries, heads of keys and values, their dimensions.
HEADS = (
    (2, 1, 16),
    (2, 2, 16),
    (4, 2, 8),
    (4, 4, 8),
    (1, 1, 32),
    (1, 1, 16),
    (3, 3, 8),
)
# Of a layer's recurrence: heads of values and of keys, rows and columns of a matrix.
MATRICES = ((4, 2, 8, 8), (2, 2, 16, 16), (2, 1, 16, 16), (3, 1, 32, 8), (4, 2, 16, 8))
ROPES = {
    "whole heads": Rope.from_config(CONFIG.rope, 16),
    "half of each": Rope.from_config(RopeConfig(n_dims=8), 16),
    "smaller heads": Rope.from_config(RopeConfig(n_dims=8, attn_factor=0.9), 8),
    "halves": Rope.from_config(RopeConfig(n_dims=16, is_neox=True), 16),
    "halves of a half": Rope.from_config(RopeConfig(n_dims=8, is_neox=True), 16),
}


@dataclass
class Graph:
    """A forward pass: operations on values by number, and the value that is returned.

    An operation is its name, the values it reads, and its options; weights and ropes
    go by their names.
    """

    steps: list[tuple[str, tuple[int, ...], dict[str, Any]]] = field(
        default_factory=list
    )
    logits: int = -1

    def __call__(
        self, ops: Any, config: ModelConfig, weights: Mapping[str, Any]
    ) -> Any:
        named = {**weights, **ROPES, **mixtures(weights)}
        values: list[Any] = []
        for op, inputs, options in self.steps:
            options = {
                key: named.get(option, option) if isinstance(option, str) else option
                for key, option in options.items()
            }
            values.append(getattr(ops, op)(*(values[i] for i in inputs), **options))
        return values[self.logits]


def mixtures(weights: Mapping[str, Any]) -> dict[str, Experts[Any]]:
    """One of each kind, width and choice of adapters."""
    return {
        f"{name} {n} {adapted}": Experts(
            None if name == "relu_squared" else weights[f"gate {n}"],
            weights[f"up {n}"],
            weights[f"down {n}"],
            n_used=N_EXPERT,
            is_normalized=name != "clamped_swiglu",
            activation=name,
            up_scale=weights["factors"],
            down_scale=weights["factors"] if name == "geglu" else None,
            **adapters(weights, n, adapted),
        )
        for n in WIDTHS
        for name in EXPERTS
        for adapted in ADAPTED
    }


def adapters(weights: Mapping[str, Any], n: int, adapted: str) -> dict[str, Any]:
    """Return the adapters of the parts that are named."""
    return {
        f"{part}_adapter": LowRank(weights[f"a {n} low"], weights[f"b {n} low"])
        for part in adapted.split()
    }


def weights() -> dict[str, Array]:
    """Two matrices of each shape, ``"a in out"`` and ``"b in out"``, and the rest."""
    rng = np.random.default_rng(1)

    def noise(*shape: int) -> Array:
        return rng.standard_normal(shape, dtype=np.float32)

    scale = {n: np.float32(n**-0.5) for n in WIDTHS}
    return {
        **{f"{x} {n} {m}": noise(m, n) * scale[n]
           for x in "ab" for n in WIDTHS for m in WIDTHS},
        **{f"each head {n} {m}": noise(4, m // 4, n // 4) * scale[n // 4 * 4] * 2
           for n in WIDTHS for m in WIDTHS},
        **{f"embd {n}": noise(N_VOCAB, n) for n in WIDTHS},
        **{f"positions {n}": noise(N_POSITIONS, n) for n in WIDTHS},
        **{f"types {n}": noise(N_TYPES, n) for n in WIDTHS},
        **{f"slopes {n_head}": np.abs(noise(n_head)) / 8 for n_head, _, _ in HEADS},
        **{f"norm {n}": 1 + noise(n) / 8 for n in (*WIDTHS, N_HEAD)},
        **{f"sinks {n_head}": noise(n_head) for n_head, _, _ in HEADS},
        **{f"bias {n}": noise(n) / 8 for n in WIDTHS},
        **{f"heads {n} {m}": noise(m, n) * scale[n]
           for n in WIDTHS for h, _, dim, value_dim in MATRICES
           for m in (h, h * dim, h * value_dim, dim)},
        **{f"negative {h}": -np.abs(noise(h)) for h, *_ in MATRICES},
        **{f"negative {h * dim}": -np.abs(noise(h * dim)) for h, _, _, dim in MATRICES},
        **{f"negative {h * dim} {n}": -np.abs(noise(h * dim * n))
           for h, _, n, dim in MATRICES},
        **{f"kernel {n} {k}": noise(n * k) / 2 for n in WIDTHS for k in KERNELS},
        "factor": np.full(1, 0.75, np.float32),
        "factors": np.linspace(0.5, 1, N_EXPERT, dtype=np.float32),
        **{f"router {n}": noise(N_EXPERT, n) * scale[n] for n in WIDTHS},
        **{f"{part} {n}": noise(N_EXPERT, n, n) * scale[n]
           for part in ("gate", "up", "down") for n in WIDTHS},
        **{f"a {n} low": noise(N_EXPERT, 3, n) * scale[n] for n in WIDTHS},
        **{f"b {n} low": noise(N_EXPERT, n, 3) / 2 for n in WIDTHS},
    }  # fmt: skip
