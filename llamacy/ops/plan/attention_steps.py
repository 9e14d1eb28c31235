"""Steps of attention: keys and values go into the cache, then queries meet them."""

from __future__ import annotations

from llamacy.ops.plan.emitter import Emitter
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
        self._attend(node, q, self._is_rounded(node.inputs[2]))

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

    def _attend(self, node: Node, q: Place, may_round: bool) -> None:
        """Emit the scores apart where a row has one KV head, that is, one item of work.

        Threads can share these two steps, of rows that are fewer than threads.
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
            "may_round": may_round,
        }
        if state.n_head_kv == 1 and state.is_causal:
            self._emit("scores", reads, {"scores": SCORES}, **constants)
            reads["scores"] = SCORES
        self._emit("attention", reads, {"y": self._buffers.new(node)}, **constants)

    def _rotated(self, node: Node) -> tuple[Place, Rope | None]:
        """Find a value that may be rotated first, and how."""
        if not self._graph.is_absorbed(node):
            return self._values[node], None
        return self._values[node.inputs[0]], node.attributes["rope"]

    def _is_rounded(self, node: Node) -> bool:
        """Whether activations before it were rounded to bfloat16 or to less."""
        if node.op == "linear":
            return self._kernels.rounds(node.attributes["weight"])
        return any(map(self._is_rounded, node.inputs))
