"""Which operations of a graph are run, and which of them become one step.

An operation is absorbed into the step of the only one that reads it where a step can
do both. The conditions for that are here, for each kind, and nowhere else;
`llamacy.ops.plan.lowering` makes the steps, and chooses their buffers.
"""

from __future__ import annotations

from typing import Final, Literal

from llamacy.ops.plan.recorder import Node
from llamacy.ops.state.specs import KeyValues
from llamacy.ops.vocabulary import ELEMENTWISE

GATES: Final[dict[str, Literal["swiglu", "geglu"]]] = {
    "silu_mul": "swiglu",
    "gelu_mul": "geglu",
}
"""Products with a gate, and the forms of linear steps that end in them."""


READERS: Final = ("shared_attention",)
"""Operations on a state that another one leaves."""


def is_unary(node: Node) -> bool:
    """Whether each number of a value becomes another by itself: possible in place."""
    return node.op in ELEMENTWISE and len(node.inputs) == 1


def is_view(node: Node) -> bool:
    """Whether a value is columns of another, side by side: read where they are."""
    if node.op != "columns":
        return False
    return bool(node.attributes["n"] == node.width)


class Fusion:
    """A graph, and the operations of it that become steps.

    Parameters
    ----------
    nodes : list of Node
        The graph, in an order that can be run.
    logits : Node
        The node whose value is asked for.

    Attributes
    ----------
    roots : list of Node
        The nodes that become steps of their own, in that order.
    users : dict of list of Node
        The nodes that are run and read each value.
    """

    def __init__(self, nodes: list[Node], logits: Node) -> None:
        self._logits = logits
        needed = _needed(nodes, logits)
        self.users: dict[Node, list[Node]] = {node: [] for node in needed}
        for node in needed:
            for value in node.inputs:
                self.users[value].append(node)
        self.roots = [node for node in needed if not self.is_absorbed(node)]

    def is_absorbed(self, node: Node) -> bool:
        """Whether a node becomes part of the step of its only user."""
        if len(self.users[node]) != 1:
            return False
        (user,) = self.users[node]
        if node.op == "causal_conv":
            return user.op == "silu"
        if node.op == "rope":
            is_kept = user.op in ("attention", "append")
            return is_kept and self._is_rotated_in_place(node, user)
        if node.op != "linear":
            return False
        if user.op == "add":
            return user.inputs[1] is node
        return user.op in GATES and self._are_side_by_side(*user.inputs)

    def leaves(self, node: Node) -> list[Node]:
        """List what a step reads: its inputs, through those it absorbs.

        With columns it reads the value that they are of.
        """
        leaves: list[Node] = []
        for value in node.inputs:
            is_absorbed = self.is_absorbed(value)
            if not is_absorbed:
                leaves.append(value)
            if is_absorbed or is_view(value):
                leaves.extend(self.leaves(value))
        return leaves

    def is_in_logits(self, node: Node) -> bool:
        """Whether a value is kept where the logits go: nothing else becomes of it.

        Logits are wide: one more buffer of them may outgrow the weights.
        """
        if node.op != "linear" and not is_unary(node):
            return False
        if node is self._logits:
            return True
        users = self.users[node]
        return len(users) == 1 and is_unary(users[0]) and self.is_in_logits(users[0])

    def _is_rotated_in_place(self, rope: Node, user: Node) -> bool:
        """Whether queries or keys are rotated in place, as nothing else reads them."""
        return (
            rope is not user.inputs[-1]  # the values
            and isinstance(user.state, KeyValues)
            and rope.attributes["rope"].head_dim == user.state.head_dim
            and len(self.users[rope.inputs[0]]) == 1
            and not is_view(rope.inputs[0])
        )

    def _are_side_by_side(self, gate: Node, up: Node) -> bool:
        """Whether both are linear layers of one input, for their product alone."""
        return gate.inputs == up.inputs and all(
            value.op == "linear" and len(self.users[value]) == 1 for value in (gate, up)
        )


def _needed(nodes: list[Node], logits: Node) -> list[Node]:
    """List the nodes that the logits depend on, or that leave a state."""
    needed = {logits}
    for node in reversed(nodes):
        leaves_state = node.state is not None and node.op not in READERS
        if node in needed or leaves_state:
            needed |= {node, *node.inputs}
    return [node for node in nodes if node in needed]
