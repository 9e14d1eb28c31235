"""Steps of elementwise operations: in place, or as a part of another step."""

from __future__ import annotations

from llamacy.ops.plan.fusion import GATES, is_unary
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.recurrent_steps import RecurrentSteps
from llamacy.ops.plan.step import LOGITS, Buffer, Place


class ElementwiseSteps(RecurrentSteps):
    """Emits elementwise operations by the number of values that they read."""

    def _emit_elementwise(self, node: Node) -> None:
        if is_unary(node) and self._graph.is_absorbed(node.inputs[0]):
            self._convolve(node.inputs[0], node)
        elif is_unary(node):
            self._unary(node)
        elif node.op == "add" and self._graph.is_absorbed(node.inputs[1]):
            self._add_product(node)
        elif self._graph.is_absorbed(node.inputs[0]):
            gate, up = node.inputs
            self._linear(GATES[node.op], gate, self._buffers.new(node), up)
        else:
            x, y = (self._values[value] for value in node.inputs)
            self._binary(node, x, y, self._buffers.new(node))

    def _unary(self, node: Node) -> None:
        """Write to the logits, over an input that nobody else reads, or elsewhere."""
        (value,) = node.inputs
        x = LOGITS if self._graph.is_in_logits(value) else self._values[value]
        if self._graph.is_in_logits(node):
            y = LOGITS
        elif self._ends_in(node, value):
            y = self._buffers.replace(value, node)
        else:
            y = self._buffers.new(node)
        self._emit(
            node.op,
            {"x": x},
            {"y": y},
            of_wanted=node.of_wanted,
            n=node.width,
            constants=tuple(node.attributes.values()),
        )

    def _binary(self, node: Node, x: Place, y: Place, z: Buffer) -> None:
        self._emit_rows(node, {"x": x, "y": y}, {"z": z}, n=node.width)

    def _add_product(self, node: Node) -> None:
        """Add a linear layer's result to a residual, in place if that ends there."""
        x, y = node.inputs
        if self._ends_in(node, x) and x not in self._graph.leaves(y):
            self._linear("add", y, self._buffers.replace(x, node))
        else:
            total, residual = self._buffers.new(node), self._values[x]
            self._linear("store", y, total)
            self._binary(node, total, residual, total)
