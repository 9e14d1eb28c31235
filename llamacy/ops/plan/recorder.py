"""Records the operations of a forward pass as a graph, computing nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from llamacy.ops.experts import Experts
from llamacy.ops.plan.packed_weights import Weight
from llamacy.ops.rope import Rope
from llamacy.ops.state.specs import KeyValues


@dataclass(eq=False)
class Node:
    """One operation and the value it makes.

    Attributes
    ----------
    op : its name in the vocabulary.
    inputs : the values it reads.
    width : floats of one row of its value.
    of_wanted : its rows are the wanted ones, not those of the batch.
    attributes : weights and constants.
    state : what it reads of earlier passes, and leaves for later ones.
    """

    op: str
    inputs: tuple[Node, ...]
    width: int
    of_wanted: bool
    attributes: dict[str, Any]
    state: KeyValues | None = None


class Recorder:
    """The vocabulary of :mod:`llamacy.ops.vocabulary`; values are nodes."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def _record(
        self,
        op: str,
        inputs: tuple[Node, ...],
        width: int,
        state: KeyValues | None = None,
        **attributes: Any,
    ) -> Node:
        of_wanted = op == "wanted" or any(node.of_wanted for node in inputs)
        node = Node(op, inputs, width, of_wanted, attributes, state)
        self.nodes.append(node)
        return node

    def embedding(self, weight: Weight) -> Node:  # noqa: D102
        return self._record("embedding", (), weight.shape[1], weight=weight)

    def rms_norm(self, x: Node, weight: Weight, eps: float) -> Node:  # noqa: D102
        return self._record("rms_norm", (x,), x.width, weight=weight, eps=eps)

    def linear(self, x: Node, weight: Weight, bias: Weight | None = None) -> Node:  # noqa: D102
        width = weight.shape[0]
        return self._record("linear", (x,), width, weight=weight, bias=bias)

    def rope(self, x: Node, rope: Rope) -> Node:  # noqa: D102
        return self._record("rope", (x,), x.width, rope=rope)

    def attention(  # noqa: D102
        self,
        q: Node,
        k: Node,
        v: Node,
        *,
        state: KeyValues,
        scale: float,
        softcap: float | None = None,
        sinks: Weight | None = None,
    ) -> Node:
        options = {"scale": scale, "softcap": softcap, "sinks": sinks}
        width = q.width // state.head_dim * state.value_dim
        return self._record("attention", (q, k, v), width, state, **options)

    def silu_mul(self, gate: Node, up: Node) -> Node:  # noqa: D102
        return self._record("silu_mul", (gate, up), gate.width)

    def gelu_mul(self, gate: Node, up: Node) -> Node:  # noqa: D102
        return self._record("gelu_mul", (gate, up), gate.width)

    def scale(self, x: Node, factor: float) -> Node:  # noqa: D102
        return self._record("scale", (x,), x.width, constant=factor)

    def softcap(self, x: Node, cap: float) -> Node:  # noqa: D102
        return self._record("softcap", (x,), x.width, constant=cap)

    def sigmoid_gate(self, y: Node, x: Node, weight: Weight) -> Node:  # noqa: D102
        return self._record("sigmoid_gate", (y, x), y.width, weight=weight)

    def experts(self, x: Node, scores: Node, experts: Experts[Weight]) -> Node:  # noqa: D102
        width = experts.down.shape[1]
        return self._record("experts", (x, scores), width, experts=experts)

    def add(self, x: Node, y: Node) -> Node:  # noqa: D102
        return self._record("add", (x, y), x.width)

    def wanted(self, x: Node) -> Node:  # noqa: D102
        return self._record("wanted", (x,), x.width)
