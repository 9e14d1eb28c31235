"""Which operations of a graph are run, and which of them become one step.

An operation is absorbed into the step of the only one that reads it where a step can
do both; what must hold for that is said here, for each kind, and nowhere else. How
the steps are emitted, and into which buffers, is the business of
:mod:`llamacy.ops.plan.lowering`.
"""

from __future__ import annotations

from typing import Final, Literal

from llamacy.ops.plan.recorder import Node

GATES: Final[dict[str, Literal["swiglu", "geglu"]]] = {
    "silu_mul": "swiglu",
    "gelu_mul": "geglu",
}
"""Products with a gate, and the forms of linear steps that end in them."""
POINTWISE = ("scale", "softcap")
"""What is done to each number by itself, and so in place."""


class Fusion:
    """A graph as steps.

    Parameters
    ----------
    nodes : the graph, in an order that can be run.
    logits : the node whose value is asked for.

    Attributes
    ----------
    roots : the nodes that are steps, in that order.
    users : the nodes that are run and read each value.
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
        if node.op == "rope":
            return user.op == "attention" and self._is_rotated_in_place(node, user)
        if node.op != "linear":
            return False
        if user.op == "add":
            return user.inputs[1] is node
        return user.op in GATES and self._are_side_by_side(*user.inputs)

    def leaves(self, node: Node) -> list[Node]:
        """List what a step reads: its inputs, through those it absorbs."""
        leaves: list[Node] = []
        for value in node.inputs:
            leaves.extend(self.leaves(value) if self.is_absorbed(value) else [value])
        return leaves

    def is_in_logits(self, node: Node) -> bool:
        """Whether a value is kept where the logits go: it is all that becomes them.

        They are wide, so that to have them in one more buffer would be dear.
        """
        if node.op not in ("linear", *POINTWISE):
            return False
        if node is self._logits:
            return True
        users = self.users[node]
        return (
            len(users) == 1 and users[0].op in POINTWISE and self.is_in_logits(users[0])
        )

    def _is_rotated_in_place(self, rope: Node, attention: Node) -> bool:
        """Whether queries or keys are rotated where they are: nobody else sees them."""
        return (
            rope is not attention.inputs[2]
            and attention.state is not None
            and rope.attributes["rope"].head_dim == attention.state.head_dim
            and len(self.users[rope.inputs[0]]) == 1
        )

    def _are_side_by_side(self, gate: Node, up: Node) -> bool:
        """Whether both are linear layers of one input, for their product alone."""
        return gate.inputs == up.inputs and all(
            value.op == "linear" and len(self.users[value]) == 1 for value in (gate, up)
        )


def _needed(nodes: list[Node], logits: Node) -> list[Node]:
    """Those that lead to the logits, or that leave a state."""
    needed = {logits}
    for node in reversed(nodes):
        if node in needed or node.state is not None:
            needed |= {node, *node.inputs}
    return [node for node in nodes if node in needed]
