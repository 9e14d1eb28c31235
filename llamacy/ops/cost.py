"""What a forward pass costs at least: what it must read, and what it must compute.

Read are the weights as they are packed, once a pass, but of an embedding only the rows
of the tokens, and of a mixture of experts only those used: with several rows, at least
those of one, since all may choose the same; and the keys and values of each sequence, once a pass. Computed are the
products of matrices and those of attention, a multiplication and an addition each.
Activations, which stay in caches, and operations on single rows, such as norms, are not
counted: beside these they are little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llamacy.ops.recorder import Node


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
        self._kv_bytes = 0
        self._attended = 0  # sum of the widths of queries
        for node in nodes:
            self._count(node, kv_bytes)

    def _count(self, node: Node, kv_bytes: int) -> None:
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
        elif node.op == "attention":
            self._kv_bytes += kv_bytes
            self._attended += node.width

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
            + self._kv_bytes * (first + n_rows)
        )
        # each row attends to all positions up to its own, with keys and with values
        n_positions = n_rows * first + n_rows * (n_rows + 1) // 2
        n_products = (
            self._n_products[False] * n_rows
            + self._n_products[True] * n_wanted
            + 2 * self._attended * n_positions
        )
        return Cost(n_bytes, 2 * n_products)
