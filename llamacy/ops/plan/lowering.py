"""From the recorded graph to the steps of a program."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from llamacy.ops.memory import touched
from llamacy.ops.plan.barriers import Barriers
from llamacy.ops.plan.buffers import Buffer, Buffers
from llamacy.ops.plan.expert_steps import ExpertSteps
from llamacy.ops.plan.fusion import GATES, Fusion
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.runtime import Program
from llamacy.ops.rope import Rope


class Lowering:
    """Emits one graph into one program.

    Parameters
    ----------
    nodes : the graph, in an order that can be run.
    logits : the node whose value the runs of the program return.
    program : receives the steps.
    n_batch : most rows of a pass: the height of every buffer.
    """

    def __init__(
        self, nodes: list[Node], logits: Node, program: Program, n_batch: int
    ) -> None:
        self._logits = logits
        self._program = program
        self._n_batch = n_batch
        self._graph = Fusion(nodes, logits)
        self._last_reader = self._find_last_readers()
        self._buffers = Buffers(program, n_batch)
        self._values = self._buffers.values
        self._new = self._buffers.new
        self._tables: dict[int, Buffer] = {}
        self._waits = Barriers().waits
        self._experts = ExpertSteps(program, n_batch, self._waits)

    def lower(self) -> None:
        """Emit all steps."""
        for node in self._graph.roots:
            getattr(self, f"_emit_{node.op}")(node)
            for value in self._graph.leaves(node):
                if self._last_reader[value] is node:
                    self._buffers.free(value)
        if self._logits in self._values:
            self._copy(self._logits, None)

    def _find_last_readers(self) -> dict[Node, Node]:
        """Find the last root that reads each value."""
        return {
            value: node
            for node in self._graph.roots
            for value in self._graph.leaves(node)
        }

    # One method an operation.

    def _emit_embedding(self, node: Node) -> None:
        y = self._new(node)
        self._program.embedding(
            node.attributes["weight"], y, waits=self._waits((), (y,))
        )

    def _emit_rms_norm(self, node: Node) -> None:
        x, y = self._values[node.inputs[0]], self._new(node)
        prepared = None
        if self._is_read_prepared(node):
            prepared = self._buffers.new_prepared(node)
        self._program.rms_norm(
            x,
            node.attributes["weight"],
            node.attributes["eps"],
            y,
            prepared,
            n_parts=node.width // len(node.attributes["weight"]),
            waits=self._waits((x,), (y, prepared)),
            of_wanted=node.of_wanted,
        )

    def _emit_linear(self, node: Node) -> None:
        # the run's own logits, mostly the result of a linear layer, need no copy
        y = None if self._graph.is_in_logits(node) else self._new(node)
        self._linear("store", node, y)

    def _emit_rope(self, node: Node) -> None:
        self._copy(node.inputs[0], self._new(node), node.attributes["rope"])

    def _emit_silu_mul(self, node: Node) -> None:
        self._gated(self._program.silu_mul, node)

    def _emit_gelu_mul(self, node: Node) -> None:
        self._gated(self._program.gelu_mul, node)

    def _emit_scale(self, node: Node) -> None:
        self._pointwise(self._program.scale, node)

    def _emit_softcap(self, node: Node) -> None:
        self._pointwise(self._program.softcap, node)

    def _emit_add(self, node: Node) -> None:
        x, y = node.inputs
        if not self._graph.is_absorbed(y):
            self._elementwise(self._program.add, node)
        elif self._last_reader[x] is node and x not in y.inputs:
            self._linear("add", y, self._buffers.replace(x, node))  # in place
        else:
            total, residual = self._new(node), self._values[x]
            self._linear("store", y, total)
            self._program.add(
                total,
                residual,
                total,
                waits=self._waits((total, residual), (total,)),
                of_wanted=node.of_wanted,
            )

    def _emit_attention(self, node: Node) -> None:
        (q, q_rope), (k, k_rope), (v, _) = map(self._rotated, node.inputs)
        q_table = self._table(q_rope) if q_rope else None
        k_table = self._table(k_rope) if k_rope else None
        cache = self._tables  # stands for the pages, which have no buffer
        state = node.state
        assert state is not None
        self._program.append(
            state.layer, q, k, v, q_table, k_table,
            q_half=q_rope.half if q_rope else 0,
            k_half=k_rope.half if k_rope else 0,
            waits=self._waits((k, v, q_table, k_table), (q, k, cache)),
        )  # fmt: skip
        y = self._new(node)
        self._program.attention(
            state.layer,
            node.attributes["scale"],
            q,
            y,
            window=state.window or 0,
            softcap=node.attributes["softcap"] or 0,
            sinks=node.attributes["sinks"],
            may_round=self._is_rounded(node.inputs[2]),
            waits=self._waits((q, cache), (y,)),
        )

    def _emit_wanted(self, node: Node) -> None:
        x, y = self._values[node.inputs[0]], self._new(node)
        self._program.wanted(x, y, waits=self._waits((x,), (y,)))

    def _emit_sigmoid_gate(self, node: Node) -> None:
        y, x = (self._values[value] for value in node.inputs)
        z = self._new(node)
        self._program.sigmoid_gate(
            x,
            node.attributes["weight"],
            y,
            node.width,
            z,
            waits=self._waits((x, y), (z,)),
            of_wanted=node.of_wanted,
        )

    def _emit_experts(self, node: Node) -> None:
        x, scores = (self._values[value] for value in node.inputs)
        self._experts.emit(
            node.attributes["experts"],
            x,
            scores,
            self._new(node),
            of_wanted=node.of_wanted,
        )

    # Parts of them.

    def _linear(
        self,
        form: Literal["store", "add", "swiglu", "geglu"],
        node: Node,
        y: Buffer | None,
        node2: Node | None = None,
    ) -> None:
        """Emit a linear layer, or two of the same input."""
        (source,) = node.inputs
        weight, bias = node.attributes["weight"], node.attributes["bias"]
        weight2 = node2.attributes["weight"] if node2 else None
        bias2 = node2.attributes["bias"] if node2 else None
        if any(map(self._program.reads_prepared, filter(None, (weight, weight2)))):
            self._prepare(source)
        x, prepared = self._values[source], self._buffers.prepared.get(source)
        self._program.linear(
            form, weight, bias, x, prepared, y, weight2, bias2,
            waits=self._waits((x, prepared), (self._place(y),)),
            of_wanted=node.of_wanted,
        )  # fmt: skip

    def _copy(self, value: Node, y: Buffer | None, rope: Rope | None = None) -> None:
        """Copy a value to `y`, or to the logits, rotated by `rope` if there is one."""
        x, table = self._values[value], self._table(rope) if rope else None
        self._program.copy(
            x,
            value.width,
            y,
            table,
            half=rope.half if rope else 0,
            waits=self._waits((x, table), (self._place(y),)),
            of_wanted=value.of_wanted,
        )

    def _prepare(self, value: Node) -> None:
        """Leave `value` as quantised weights read it, unless it already is."""
        if value not in self._buffers.prepared:
            x, prepared = self._values[value], self._buffers.new_prepared(value)
            self._program.prepare(
                x,
                value.width,
                prepared,
                waits=self._waits((x,), (prepared,)),
                of_wanted=value.of_wanted,
            )

    def _is_rounded(self, node: Node) -> bool:
        """Whether a value was computed from activations that were rounded."""
        if node.op == "linear":
            return self._program.reads_prepared(node.attributes["weight"])
        return any(map(self._is_rounded, node.inputs))

    def _is_read_prepared(self, node: Node) -> bool:
        """Whether a matrix reads the prepared form of this value."""
        return any(
            user.op == "linear"
            and self._program.reads_prepared(user.attributes["weight"])
            for user in self._graph.users[node]
        )

    def _elementwise(self, emit: Any, node: Node) -> None:
        x, y = (self._values[value] for value in node.inputs)
        z = self._new(node)
        waits = self._waits((x, y), (z,))
        emit(x, y, z, waits=waits, of_wanted=node.of_wanted)

    def _gated(self, emit: Any, node: Node) -> None:
        gate, up = node.inputs
        if self._graph.is_absorbed(gate):
            self._linear(GATES[node.op], gate, self._new(node), up)
        else:
            self._elementwise(emit, node)

    def _pointwise(self, emit: Any, node: Node) -> None:
        """In place, where the logits go or in a buffer nobody else reads any more."""
        (value,) = node.inputs
        x = None if self._graph.is_in_logits(value) else self._values[value]
        y: Buffer | None
        if self._graph.is_in_logits(node):
            y = None
        elif self._last_reader[value] is node:
            y = self._buffers.replace(value, node)
        else:
            y = self._new(node)
        emit(
            x,
            node.width,
            node.attributes["constant"],
            y,
            waits=self._waits((self._place(x),), (self._place(y),)),
            of_wanted=node.of_wanted,
        )

    def _rotated(self, node: Node) -> tuple[Buffer, Rope | None]:
        """Find a value that may be rotated first, and how."""
        if not self._graph.is_absorbed(node):
            return self._values[node], None
        return self._values[node.inputs[0]], node.attributes["rope"]

    def _table(self, rope: Rope) -> Buffer:
        """Rotations of the batch's positions, made once a pass."""
        if id(rope) not in self._tables:
            table = touched((self._n_batch, 2 * rope.head_dim), np.float32)
            self._program.rope_table(
                rope.angles,
                rope.head_dim,
                rope.half,
                rope.magnitude,
                table,
                waits=self._waits((), (table,)),
            )
            self._tables[id(rope)] = table
        return self._tables[id(rope)]

    def _place(self, buffer: Buffer | None) -> object:
        """Find what stands for a buffer, None being that of the run's own logits."""
        return self._logits if buffer is None else buffer
