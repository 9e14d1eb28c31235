"""From the recorded graph to the steps of a program."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from llamacy.ops.plan.attention_steps import AttentionSteps
from llamacy.ops.plan.elementwise_steps import ElementwiseSteps
from llamacy.ops.plan.expert_steps import ExpertSteps
from llamacy.ops.plan.fusion import is_view
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.recurrent_steps import RecurrentSteps
from llamacy.ops.plan.step import LOGITS, Buffer, Step
from llamacy.ops.vocabulary import ELEMENTWISE


class Lowering(AttentionSteps, ElementwiseSteps, RecurrentSteps):
    """Turns one graph into steps; its parameters are those of `Emitter`."""

    def lower(self) -> list[Step]:
        """Return all steps; buffers are shared, and have no memory yet.

        Raises
        ------
        ValueError
            An operation is neither elementwise nor has a method here.
        """
        for node in self._graph.roots:
            if node.op in ELEMENTWISE:
                self._emit_elementwise(node)
            else:
                self._method_of(node.op)(node)
            for value in self._graph.leaves(node):
                if self._last_reader[value] is node:
                    self._buffers.free(value)
        if self._logits in self._values:
            self._copy(self._logits, LOGITS)
        return self._steps

    def _method_of(self, op: str) -> Callable[[Node], None]:
        emit: Callable[[Node], None] | None = getattr(self, f"_emit_{op}", None)
        if emit is None:
            wanted = f"one of ELEMENTWISE, or one with a method _emit_{op}"
            raise ValueError(f"op: wanted {wanted}, found {op!r}")
        return emit

    # One method for each operation that none of the bases emits.

    def _emit_embedding(self, node: Node) -> None:
        y = self._buffers.new(node)
        self._emit("embedding", {}, {"y": y}, weight=node.attributes["weight"])

    def _emit_position_embedding(self, node: Node) -> None:
        y = self._buffers.new(node)
        self._emit("position_embedding", {}, {"y": y}, weight=node.attributes["weight"])

    def _emit_type_embedding(self, node: Node) -> None:
        y = self._buffers.new(node)
        self._emit("type_embedding", {}, {"y": y}, weight=node.attributes["weight"])

    def _emit_rms_norm(self, node: Node) -> None:
        self._norm(node)

    def _emit_layer_norm(self, node: Node) -> None:
        self._norm(node)

    def _norm(self, node: Node) -> None:
        x, y = self._values[node.inputs[0]], self._buffers.new(node)
        weight = node.attributes["weight"]
        n = node.attributes.get("size")
        if n is None:
            n = node.width if weight is None else len(weight)
        self._emit_rows(
            node,
            {"x": x},
            {"y": y},
            weight=weight,
            bias=node.attributes.get("bias"),
            eps=node.attributes["eps"],
            n=n,
            n_parts=node.width // n,
        )

    def _emit_linear(self, node: Node) -> None:
        # the run's own logits, mostly the result of a linear layer, need no copy
        is_in_logits = self._graph.is_in_logits(node)
        y = LOGITS if is_in_logits else self._buffers.new(node)
        self._linear("store", node, y)

    def _emit_rope(self, node: Node) -> None:
        y = self._buffers.new(node)
        self._copy(node.inputs[0], y, node.attributes["rope"])

    def _emit_columns(self, node: Node) -> None:
        if is_view(node):
            self._buffers.view(node, node.inputs[0])
            return
        x, y = self._values[node.inputs[0]], self._buffers.new(node)
        self._emit(
            "copy",
            {"x": x},
            {"y": y},
            of_wanted=node.of_wanted,
            first=node.attributes["first"],
            n=node.attributes["n"],
            n_parts=node.width // node.attributes["n"],
            part_step=node.attributes["of"],
        )

    def _emit_join(self, node: Node) -> None:
        x, y = (self._values[value] for value in node.inputs)
        n_head = node.attributes.get("n_head", 1)
        self._emit(
            "join",
            {"x": x, "y": y},
            {"z": self._buffers.new(node)},
            of_wanted=node.of_wanted,
            n_parts=n_head,
            n_x=node.inputs[0].width // n_head,
            n_y=node.inputs[1].width // n_head,
        )

    def _emit_head_linear(self, node: Node) -> None:
        """Prepare and multiply each head by itself; its matrix is like an expert's."""
        weight, x = node.attributes["weight"], self._values[node.inputs[0]]
        n_head, _, n_in = weight.shape
        if self._observer is not None:
            self._steps += self._observer.look((weight,), x, of_wanted=node.of_wanted)
        prepared = None
        if self._kernels.reads_prepared(weight):
            n_bytes = n_head * self._kernels.prepared_bytes(n_in, self._n_batch)
            prepared = Buffer(f"prepared heads of {n_bytes}", (n_bytes,), "uint8")
            self._emit(
                "prepare",
                {"x": x},
                {"prepared": prepared},
                of_wanted=node.of_wanted,
                n=n_in,
                n_parts=n_head,
                n_digits=self._kernels.digits_read(weight),
            )
        self._emit(
            "head_linear",
            {"x": x, "prepared": prepared},
            {"y": self._buffers.new(node)},
            of_wanted=node.of_wanted,
            weight=weight,
        )

    def _emit_wanted(self, node: Node) -> None:
        x, y = self._values[node.inputs[0]], self._buffers.new(node)
        self._emit("wanted", {"x": x}, {"y": y}, of_wanted=True, n=node.width)

    def _emit_mean(self, node: Node) -> None:
        x, y = self._values[node.inputs[0]], self._buffers.new(node)
        self._emit("mean", {"x": x}, {"y": y}, of_wanted=True, n=node.width)

    def _emit_gain(self, node: Node) -> None:
        """Multiply in place, if nothing else reads the input."""
        (value,) = node.inputs
        x, is_last = self._values[value], self._ends_in(node, value)
        y = self._buffers.replace(value, node) if is_last else self._buffers.new(node)
        weight = node.attributes["weight"]
        self._emit_rows(node, {"x": x}, {"z": y}, weight=weight, n=node.width)

    def _emit_sigmoid_gate(self, node: Node) -> None:
        y, x = (self._values[value] for value in node.inputs)
        z = self._buffers.new(node)
        weight = node.attributes["weight"]
        self._emit_rows(node, {"x": x, "y": y}, {"z": z}, weight=weight, n=node.width)

    def _emit_head_gate(self, node: Node) -> None:
        x, gate = (self._values[value] for value in node.inputs)
        n_head = node.inputs[1].width
        self._emit_rows(
            node,
            {"x": x, "gate": gate},
            {"y": self._buffers.new(node)},
            n_parts=n_head,
            n=node.width // n_head,
        )

    def _emit_experts(self, node: Node) -> None:
        x, scores = (self._values[value] for value in node.inputs)
        y = self._buffers.new(node)
        self._experts.emit(
            node.attributes["experts"], x, scores, y, of_wanted=node.of_wanted
        )

    @cached_property
    def _experts(self) -> ExpertSteps:
        """All mixtures of experts, which use the same buffers."""
        return ExpertSteps(
            self._kernels, self._n_batch, self._steps.append, self._observer
        )
