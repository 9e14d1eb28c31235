"""Emits steps on buffers: what the lowering of several operations needs."""

from __future__ import annotations

from typing import Any

from llamacy.ops.plan.buffers import Buffers
from llamacy.ops.plan.fusion import Fusion, is_view
from llamacy.ops.plan.kernel_choice import Kernels, all_digits
from llamacy.ops.plan.observing import Observer
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.step import Buffer, Operand, Step
from llamacy.ops.rope import Rope
from llamacy.ops.state.layout import StateLayout


class Emitter:
    """The steps of one graph so far, and where its values are then.

    Parameters
    ----------
    nodes : list of Node
        The graph, in an order that can be run.
    logits : Node
        The node whose value the runs of the program return.
    kernels : Kernels
        The kernels that the steps will call.
    layout : StateLayout
        Where the states of the graph's nodes are.
    n_batch : int
        Most rows of a pass: the height of every buffer.
    observer : Observer, optional
        Adds steps that look at the inputs of matrices.
    """

    def __init__(
        self,
        nodes: list[Node],
        logits: Node,
        kernels: Kernels,
        layout: StateLayout,
        n_batch: int,
        observer: Observer | None = None,
    ) -> None:
        self._logits = logits
        self._kernels = kernels
        self._layout = layout
        self._n_batch = n_batch
        self._graph = Fusion(nodes, logits)
        self._last_reader = self._find_last_readers()
        self._buffers = Buffers(kernels.prepared_bytes, n_batch)
        self._values = self._buffers.values
        self._tables: dict[tuple[int, bool], Buffer] = {}
        self._steps: list[Step] = []
        self._observer = observer

    def _find_last_readers(self) -> dict[Node, Node]:
        """Find the last root that reads each value."""
        return {
            value: node
            for node in self._graph.roots
            for value in self._graph.leaves(node)
        }

    def _ends_in(self, node: Node, value: Node) -> bool:
        """Whether nothing reads a value after a node, which may overwrite it."""
        return not is_view(value) and self._last_reader[value] is node

    def _emit(
        self,
        op: str,
        reads: dict[str, Operand | None],
        writes: dict[str, Operand | None],
        **constants: Any,
    ) -> None:
        self._steps.append(Step.of(op, reads, writes, **constants))

    def _linear(
        self, form: str, node: Node, y: Buffer, node2: Node | None = None
    ) -> None:
        """Emit a linear layer, or two of the same input."""
        (source,) = node.inputs
        weight = node.attributes["weight"]
        weight2 = node2.attributes["weight"] if node2 else None
        if any(map(self._kernels.reads_prepared, filter(None, (weight, weight2)))):
            self._prepare(source)
        if self._observer is not None:
            x, matrices = self._values[source], (weight, weight2)
            self._steps += self._observer.look(
                matrices, x, of_wanted=node.of_wanted, value=source
            )
        self._emit(
            "linear",
            {
                "x": self._values[source],
                "prepared": self._buffers.prepared.get(source),
            },
            {"y": y},
            of_wanted=node.of_wanted,
            form=form,
            weight=weight,
            scale=node.attributes.get("scale"),
            bias=node.attributes.get("bias"),
            weight2=weight2,
            scale2=node2.attributes.get("scale") if node2 else None,
            bias2=node2.attributes.get("bias") if node2 else None,
        )

    def _copy(self, value: Node, y: Buffer, rope: Rope | None = None) -> None:
        """Copy a value to `y`, rotated by `rope` if there is one."""
        self._emit(
            "copy",
            {
                "x": self._values[value],
                "table": self._table(rope, value.of_wanted) if rope else None,
            },
            {"y": y},
            of_wanted=value.of_wanted,
            n=value.width,
            half=rope.half if rope else None,
        )

    def _prepare(self, value: Node) -> None:
        """Leave `value` as quantised weights read it, unless it already is."""
        if value not in self._buffers.prepared:
            x, prepared = self._values[value], self._buffers.new_prepared(value)
            self._emit(
                "prepare",
                {"x": x},
                {"prepared": prepared},
                of_wanted=value.of_wanted,
                n=value.width,
                n_digits=self._digits_read(value),
            )

    def _emit_rows(
        self,
        node: Node,
        reads: dict[str, Operand | None],
        writes: dict[str, Operand | None],
        **constants: Any,
    ) -> None:
        """Emit a step whose items are rows, which it also prepares if that is read.

        A row has `n` numbers, or as many in each of `n_parts`.
        """
        n_digits = self._digits_read(node)
        prepared = self._buffers.new_prepared(node) if n_digits else None
        self._emit(
            node.op,
            reads,
            {**writes, "prepared": prepared},
            of_wanted=node.of_wanted,
            n_digits=n_digits or None,
            **constants,
        )

    def _digits_read(self, value: Node) -> int:
        """Count the digits of a value's prepared form that matrices read."""
        return all_digits(
            self._kernels.digits_read(user.attributes["weight"])
            for user in self._graph.users[value]
            if user.op == "linear"
        )

    def _table(self, rope: Rope, of_wanted: bool = False) -> Buffer:
        """Rotations of positions of the batch or its wanted rows, once a pass."""
        key = id(rope), of_wanted
        if key not in self._tables:
            shape = (self._n_batch, 2 * rope.head_dim)
            table = Buffer(f"rope{len(self._tables)}", shape)
            self._emit(
                "rope_table",
                {},
                {"table": table},
                of_wanted=of_wanted,
                angles=rope.angles,
                long_angles=rope.long_angles,
                is_dynamic=rope.dynamic is not None,
                head_dim=rope.head_dim,
                half=rope.half,
                magnitude=rope.magnitude,
                growth=rope.growth,
                n_ctx_orig=rope.n_ctx_orig,
            )
            self._tables[key] = table
        return self._tables[key]
