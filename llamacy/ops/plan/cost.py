"""What a forward pass costs at least: what it must read, and what it must compute.

Read are the weights as they are packed, once a pass, but of an embedding only the rows
of the tokens, and of experts only as many as a row goes through: several rows may all
choose the same; and the keys and values of each sequence, once a pass. Computed are the
products of matrices and those of attention, a multiplication and an addition each.
Activations, which stay in caches, and operations on single rows, such as norms, are not
counted: beside these they are little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llamacy.ops.plan.recorder import Node


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one pass or of several.

    Attributes
    ----------
    n_bytes : read from memory.
    n_ops : multiplications and additions.
    """

    n_bytes: int = 0
    n_ops: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.n_bytes + other.n_bytes, self.n_ops + other.n_ops)


class PassCost:
    """The cost of passes through one graph.

    Parameters
    ----------
    nodes : the graph.
    kv_bytes : bytes of one token's keys and values in one layer.
    """

    def __init__(self, nodes: Iterable[Node], kv_bytes: int) -> None:
        self._weight_bytes = [0, 0]  # of what all rows go through, and of the wanted
        self._n_products = [0, 0]  # of one row with the matrices of these
        self._row_bytes = 0
        self._kv_bytes = kv_bytes
        # of attention with each window: in how many layers, and the widths of queries
        self._layers: dict[int | None, int] = {}
        self._attended: dict[int | None, int] = {}
        for node in nodes:
            self._count(node)

    def _count(self, node: Node) -> None:
        if node.op == "embedding":
            weight = node.attributes["weight"]
            self._row_bytes += weight.nbytes // weight.shape[0]
            return
        if node.op == "experts":
            self._count_experts(node)
            return
        for name in ("weight", "bias"):
            weight = node.attributes.get(name)
            if weight is not None:
                self._weight_bytes[node.of_wanted] += weight.nbytes
        if node.op == "linear":
            n, k = node.attributes["weight"].shape
            self._n_products[node.of_wanted] += n * k
        elif node.state is not None:
            window = node.state.window
            self._layers[window] = self._layers.get(window, 0) + 1
            self._attended[window] = self._attended.get(window, 0) + node.width

    def _count_experts(self, node: Node) -> None:
        experts = node.attributes["experts"]
        n_expert, n_ff, n_embd = experts.gate.shape
        n_bytes = sum(weight.nbytes for weight in experts.weights())
        self._weight_bytes[node.of_wanted] += n_bytes // n_expert * experts.n_used
        self._n_products[node.of_wanted] += experts.n_used * 3 * n_ff * n_embd

    def of(self, first: int, n_rows: int, n_wanted: int) -> Cost:
        """Cost of a pass over `n_rows` tokens of one sequence.

        Parameters
        ----------
        first : position of the first of them.
        n_rows : how many they are.
        n_wanted : of how many the logits are wanted.
        """
        n_bytes = (
            self._weight_bytes[False]
            + (self._weight_bytes[True] if n_wanted else 0)
            + self._row_bytes * n_rows
            + sum(
                self._kv_bytes * n_layers * _n_read(first, n_rows, window)
                for window, n_layers in self._layers.items()
            )
        )
        n_products = (
            self._n_products[False] * n_rows
            + self._n_products[True] * n_wanted
            # with keys and with values
            + sum(
                2 * width * _n_seen(first, n_rows, window)
                for window, width in self._attended.items()
            )
        )
        return Cost(n_bytes, 2 * n_products)


def _n_read(first: int, n_rows: int, window: int | None) -> int:
    """Count the positions that any of `n_rows` rows from position `first` on sees."""
    n_positions = first + n_rows
    return n_positions if window is None else min(n_positions, window + n_rows - 1)


def _n_seen(first: int, n_rows: int, window: int | None) -> int:
    """Sum up how many positions each of these rows sees."""
    n_seen = n_rows * first + n_rows * (n_rows + 1) // 2
    if window is not None:  # the last rows see so many fewer: 1, 2, 3 ... at the end
        least, most = max(0, first + 1 - window), max(0, first + n_rows - window)
        n_seen -= (most * (most + 1) - max(0, least - 1) * least) // 2
    return n_seen
