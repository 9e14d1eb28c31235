"""Steps of attention: keys and values go into the cache, then queries meet them."""

from __future__ import annotations

from llamacy.ops.plan.emitter import Emitter
from llamacy.ops.plan.page_types import may_round
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.step import SCORES, Operand, Place
from llamacy.ops.rope import Rope
from llamacy.ops.state.specs import KeyValues


class AttentionSteps(Emitter):
    """Emits each form of attention; rotations that it absorbs go with the append."""

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
        self._attend(node, q)

    def _emit_append(self, node: Node) -> None:
        state = node.state
        assert isinstance(state, KeyValues)
        (k, rope), (v, _) = map(self._rotated, node.inputs)
        self._emit(
            "append",
            {"k": k, "v": v, "k_table": self._table(rope) if rope else None},
            {"k": k, "state": self._layout.slot(state)},
            n_head=state.n_head_kv,
            k_half=rope.half if rope else None,
        )

    def _emit_shared_attention(self, node: Node) -> None:
        (q,) = node.inputs
        self._attend(node, self._values[q])

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
        self._attend(node, q)

    def _attend(self, node: Node, q: Place) -> None:
        """Emit the scores apart where a row has fewer KV heads than there are threads.

        These are its items of work; of a few rows, threads can share the two steps.
        """
        state = node.state
        assert isinstance(state, KeyValues)
        reads: dict[str, Operand | None] = {"q": q, "state": self._layout.slot(state)}
        constants = {
            "of_wanted": node.of_wanted,
            "n_head": node.inputs[0].width // state.head_dim,
            "scale": node.attributes["scale"],
            "window": state.window,
            "softcap": node.attributes.get("softcap"),
            "sinks": node.attributes.get("sinks"),
            "slopes": node.attributes.get("slopes"),
            "may_round": may_round(node, self._kernels),
        }
        if state.n_head_kv < self._kernels.n_threads and state.is_causal:
            self._emit("scores", reads, {"scores": SCORES}, **constants)
            reads["scores"] = SCORES
        self._emit("attention", reads, {"y": self._buffers.new(node)}, **constants)

    def _rotated(self, node: Node) -> tuple[Place, Rope | None]:
        """Find a value that may be rotated first, and how."""
        if not self._graph.is_absorbed(node):
            return self._values[node], None
        return self._values[node.inputs[0]], node.attributes["rope"]
