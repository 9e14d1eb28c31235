"""From the recorded graph to the steps of a program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llamacy.ops.plan.buffers import Buffers
from llamacy.ops.plan.expert_steps import ExpertSteps
from llamacy.ops.plan.fusion import GATES, Fusion, is_unary
from llamacy.ops.plan.kernel_choice import Kernels
from llamacy.ops.plan.observing import Observer
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.recurrent_steps import delta_rule_step, ssm_scan_step
from llamacy.ops.plan.step import LOGITS, Buffer, Operand, Step
from llamacy.ops.rope import Rope
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.specs import KeyValues, StateSpec
from llamacy.ops.vocabulary import ELEMENTWISE


class Lowering:
    """Turns one graph into steps.

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
        self._experts = ExpertSteps(kernels, n_batch, self._steps.append, observer)

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
                self._emitter(node.op)(node)
            for value in self._graph.leaves(node):
                if self._last_reader[value] is node:
                    self._buffers.free(value)
        if self._logits in self._values:
            self._copy(self._logits, LOGITS)
        return self._steps

    def _find_last_readers(self) -> dict[Node, Node]:
        """Find the last root that reads each value."""
        return {
            value: node
            for node in self._graph.roots
            for value in self._graph.leaves(node)
        }

    def _emit(
        self,
        op: str,
        reads: dict[str, Operand | None],
        writes: dict[str, Operand | None],
        **constants: Any,
    ) -> None:
        self._steps.append(Step.of(op, reads, writes, **constants))

    def _emitter(self, op: str) -> Callable[[Node], None]:
        emit: Callable[[Node], None] | None = getattr(self, f"_emit_{op}", None)
        if emit is None:
            wanted = f"one of ELEMENTWISE, or one with a method _emit_{op}"
            raise ValueError(f"op: wanted {wanted}, found {op!r}")
        return emit

    # One method for each operation.

    def _emit_embedding(self, node: Node) -> None:
        y = self._buffers.new(node)
        self._emit("embedding", {}, {"y": y}, weight=node.attributes["weight"])

    def _emit_position_embedding(self, node: Node) -> None:
        y = self._buffers.new(node)
        self._emit("position_embedding", {}, {"y": y}, weight=node.attributes["weight"])

    def _emit_rms_norm(self, node: Node) -> None:
        self._norm(node)

    def _emit_layer_norm(self, node: Node) -> None:
        self._norm(node)

    def _norm(self, node: Node) -> None:
        x, y = self._values[node.inputs[0]], self._buffers.new(node)
        prepared = None
        if self._is_read_prepared(node):
            prepared = self._buffers.new_prepared(node)
        weight = node.attributes["weight"]
        n = node.attributes.get("size")
        if n is None:
            n = node.width if weight is None else len(weight)
        self._emit(
            node.op,
            {"x": x},
            {"y": y, "prepared": prepared},
            of_wanted=node.of_wanted,
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

    def _emit_attention(self, node: Node) -> None:
        state = node.state
        assert isinstance(state, KeyValues)
        slot = self._layout.slot(state)
        n_head = node.inputs[0].width // state.head_dim
        (q, q_rope), (k, k_rope), (v, _) = map(self._rotated, node.inputs)
        tables = {
            "q_table": self._table(q_rope) if q_rope else None,
            "k_table": self._table(k_rope) if k_rope else None,
        }
        self._emit(
            "append",
            {"k": k, "v": v, **tables},
            {"q": q, "k": k, "state": slot},
            n_head=n_head,
            q_half=q_rope.half if q_rope else None,
            k_half=k_rope.half if k_rope else None,
        )
        self._attend(node, q, self._is_rounded(node.inputs[2]))

    def _emit_shared_attention(self, node: Node) -> None:
        (q,) = node.inputs
        self._attend(node, self._values[q], self._is_rounded(q))

    def _emit_latent_attention(self, node: Node) -> None:
        state = node.state
        assert isinstance(state, KeyValues)
        q, k = (self._values[value] for value in node.inputs)
        self._emit(
            "append",
            {"k": k},
            {"q": q, "k": k, "state": self._layout.slot(state)},
            n_head=node.inputs[0].width // state.head_dim,
        )
        self._attend(node, q, self._is_rounded(node.inputs[1]))

    def _attend(self, node: Node, q: Buffer, may_round: bool) -> None:
        state = node.state
        assert isinstance(state, KeyValues)
        self._emit(
            "attention",
            {"q": q, "state": self._layout.slot(state)},
            {"y": self._buffers.new(node)},
            of_wanted=node.of_wanted,
            n_head=node.inputs[0].width // state.head_dim,
            scale=node.attributes["scale"],
            window=state.window,
            softcap=node.attributes.get("softcap"),
            sinks=node.attributes.get("sinks"),
            may_round=may_round,
        )

    def _emit_causal_conv(self, node: Node) -> None:
        slot = self._layout.slot(_state_of(node))
        self._emit(
            "causal_conv",
            {"x": self._values[node.inputs[0]], "state": slot},
            {"y": self._buffers.new(node), "state": slot},
            weight=node.attributes["weight"],
            bias=node.attributes.get("bias"),
            n=node.width,
        )

    def _emit_delta_rule(self, node: Node) -> None:
        slot, y = self._layout.slot(_state_of(node)), self._buffers.new(node)
        self._steps.append(delta_rule_step(node, self._values, slot, y))

    def _emit_ssm_scan(self, node: Node) -> None:
        slot, y = self._layout.slot(_state_of(node)), self._buffers.new(node)
        self._steps.append(ssm_scan_step(node, self._values, slot, y))

    def _emit_columns(self, node: Node) -> None:
        x, y = self._values[node.inputs[0]], self._buffers.new(node)
        self._emit(
            "copy",
            {"x": x},
            {"y": y},
            of_wanted=node.of_wanted,
            first=node.attributes["first"],
            n=node.attributes["n"],
            n_parts=node.width // node.attributes["n"],
            part_step=node.attributes.get("of"),
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
        self._emit("wanted", {"x": x}, {"y": y}, of_wanted=True)

    def _emit_gain(self, node: Node) -> None:
        """Multiply in place, if nothing else reads the input."""
        (value,) = node.inputs
        x, is_last = self._values[value], self._last_reader[value] is node
        y = self._buffers.replace(value, node) if is_last else self._buffers.new(node)
        self._emit(
            "gain",
            {"x": x},
            {"z": y},
            of_wanted=node.of_wanted,
            weight=node.attributes["weight"],
        )

    def _emit_sigmoid_gate(self, node: Node) -> None:
        y, x = (self._values[value] for value in node.inputs)
        z = self._buffers.new(node)
        weight = node.attributes["weight"]
        self._emit(
            "sigmoid_gate",
            {"x": x, "y": y},
            {"z": z},
            of_wanted=node.of_wanted,
            weight=weight,
            n=node.width,
        )

    def _emit_head_gate(self, node: Node) -> None:
        x, gate = (self._values[value] for value in node.inputs)
        n_head = node.inputs[1].width
        self._emit(
            "head_gate",
            {"x": x, "gate": gate},
            {"y": self._buffers.new(node)},
            of_wanted=node.of_wanted,
            n_head=n_head,
            n=node.width // n_head,
        )

    def _emit_experts(self, node: Node) -> None:
        x, scores = (self._values[value] for value in node.inputs)
        y = self._buffers.new(node)
        self._experts.emit(
            node.attributes["experts"], x, scores, y, of_wanted=node.of_wanted
        )

    # Elementwise operations, by the number of values they read.

    def _emit_elementwise(self, node: Node) -> None:
        if is_unary(node):
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
        elif self._last_reader[value] is node:
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

    def _binary(self, node: Node, x: Buffer, y: Buffer, z: Buffer) -> None:
        self._emit(node.op, {"x": x, "y": y}, {"z": z}, of_wanted=node.of_wanted)

    def _add_product(self, node: Node) -> None:
        """Add a linear layer's result to a residual, in place if that ends there."""
        x, y = node.inputs
        if self._last_reader[x] is node and x not in y.inputs:
            self._linear("add", y, self._buffers.replace(x, node))
        else:
            total, residual = self._buffers.new(node), self._values[x]
            self._linear("store", y, total)
            self._binary(node, total, residual, total)

    # Steps and buffers that several operations need.

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
            )

    def _is_rounded(self, node: Node) -> bool:
        """Whether a value was computed from activations that were rounded."""
        if node.op == "linear":
            return self._kernels.reads_prepared(node.attributes["weight"])
        return any(map(self._is_rounded, node.inputs))

    def _is_read_prepared(self, node: Node) -> bool:
        """Whether a matrix reads the prepared form of this value."""
        return any(
            user.op == "linear"
            and self._kernels.reads_prepared(user.attributes["weight"])
            for user in self._graph.users[node]
        )

    def _rotated(self, node: Node) -> tuple[Buffer, Rope | None]:
        """Find a value that may be rotated first, and how."""
        if not self._graph.is_absorbed(node):
            return self._values[node], None
        return self._values[node.inputs[0]], node.attributes["rope"]

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


def _state_of(node: Node) -> StateSpec:
    """Return the state that an operation keeps."""
    assert node.state is not None
    return node.state
