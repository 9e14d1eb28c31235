"""Steps of operations whose state is of a fixed size: they read it and write it."""

from __future__ import annotations

from typing import Any

from llamacy.ops.plan.emitter import Emitter
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.step import Operand
from llamacy.ops.state.specs import Recurrence


class RecurrentSteps(Emitter):
    """Emits convolutions of a text's past, and scans."""

    def _emit_causal_conv(self, node: Node) -> None:
        self._convolve(node, node)

    def _convolve(self, node: Node, result: Node) -> None:
        """Emit a convolution; its results go through `result` if that is another."""
        self._recur(
            node,
            ("x",),
            result,
            weight=node.attributes["weight"],
            bias=node.attributes.get("bias"),
            n=node.width,
            form=None if result is node else result.op,
        )

    def _emit_delta_rule(self, node: Node) -> None:
        state = _state_of(node)
        q, decay = node.inputs[0], node.inputs[3]
        self._recur(
            node,
            ("q", "k", "v", "decay", "beta"),
            n_head=state.n_head,
            n_key_head=q.width // state.key_dim,
            repeats_key_heads=node.attributes["key_head"] == "modulo",
            decays_rows=decay.width != state.n_head,
        )

    def _emit_ssm_scan(self, node: Node) -> None:
        state = _state_of(node)
        b = node.inputs[2]
        self._recur(
            node,
            ("x", "dt", "b", "c"),
            n_head=state.n_head,
            n_group=b.width // state.key_dim,
            a=node.attributes["a"],
            d=node.attributes["d"],
        )

    def _emit_selective_scan(self, node: Node) -> None:
        self._recur(
            node,
            ("x", "dt", "b", "c"),
            n_head=_state_of(node).n_head,
            a=node.attributes["a"],
            d=node.attributes["d"],
        )

    def _recur(
        self,
        node: Node,
        names: tuple[str, ...],
        result: Node | None = None,
        **constants: Any,
    ) -> None:
        """Emit the step of a node whose inputs have these names."""
        slot = self._layout.slot(_state_of(node))
        values = (self._values[value] for value in node.inputs)
        reads: dict[str, Operand | None] = dict(zip(names, values, strict=True))
        self._emit(
            node.op,
            reads | {"state": slot},
            {"y": self._buffers.new(result or node), "state": slot},
            **constants,
        )


def _state_of(node: Node) -> Recurrence:
    """Return the state that an operation keeps."""
    assert isinstance(node.state, Recurrence)
    return node.state
