"""The vocabulary of a transformer: what an architecture may ask an executor for.

An architecture is a function that calls these operations and nothing else. The
reference executor computes each at once in NumPy; the plan records them. In the
shapes below M is the number of rows of the batch; every value is float32, and
weights are (n_out, n_in) as GGUF stores them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from llamacy.config import ModelConfig
from llamacy.ops.experts import Experts
from llamacy.ops.rope import Rope

Value = TypeVar("Value")
Weight = TypeVar("Weight", contravariant=True)


class Ops(Protocol, Generic[Value, Weight]):
    """One method an operation."""

    def embedding(self, weight: Weight) -> Value:
        """Rows of `weight` (n_vocab, n_embd) at the batch's tokens: (M, n_embd)."""

    def rms_norm(self, x: Value, weight: Weight, eps: float) -> Value:
        """`x / sqrt(mean(x²) + eps) * weight` (Zhang & Sennrich 2019)."""

    def linear(self, x: Value, weight: Weight, bias: Weight | None = None) -> Value:
        """`x @ weight.T + bias`: (M, n_in) to (M, n_out)."""

    def rope(self, x: Value, rope: Rope) -> Value:
        """Rotate adjacent pairs in each head of `x` by its row's position."""

    def attention(
        self, q: Value, k: Value, v: Value, *, layer: int, scale: float
    ) -> Value:
        """Causal attention of each row to its own sequence, up to itself.

        Appends `k` and `v` (M, n_head_kv * head_dim) to the sequences' caches;
        `q` and the result are (M, n_head * head_dim).
        """

    def silu_mul(self, gate: Value, up: Value) -> Value:
        """`gate * sigmoid(gate) * up`, elementwise (SwiGLU, Shazeer 2020)."""

    def sigmoid_gate(self, x: Value, weight: Weight, y: Value) -> Value:
        """`sigmoid(x @ weight) * y`, one factor a row: weight is (n_in,)."""

    def experts(self, x: Value, scores: Value, experts: Experts[Weight]) -> Value:
        """Send each row of `x` through the experts it scores highest: (M, n_embd).

        `scores` (M, n_expert) are the router's; of equal ones the first comes first, and
        NaN comes last. Each expert is `down @ (silu(gate @ x) * (up @ x))`, with biases,
        and the row's result their sum by weights made of the scores: see Experts.
        """

    def add(self, x: Value, y: Value) -> Value:
        """Elementwise sum: a residual connection."""

    def wanted(self, x: Value) -> Value:
        """Only the rows of `x` whose logits are wanted: (n_wanted, n)."""


Forward = Callable[[Ops[Any, Any], ModelConfig, Mapping[str, Any]], Any]
"""An architecture's forward pass: (ops, config, weights by name) to logits."""
