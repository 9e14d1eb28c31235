"""Records the operations of a forward pass as a graph, computing nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from inspect import Signature, signature
from typing import Any, Final

from llamacy.ops.state.specs import StateSpec
from llamacy.ops.vocabulary import Ops


@dataclass(eq=False)
class Node:
    """One operation and the value it makes.

    Attributes
    ----------
    op : str
        Its name in the vocabulary.
    inputs : tuple of Node
        The values it reads.
    width : int
        Floats of one row of its value.
    of_wanted : bool
        Its rows are the wanted ones, not those of the batch.
    attributes : dict
        Weights and constants, by their names in the vocabulary; an option that is not
        given is not there.
    state : StateSpec or None
        The state that it reads of earlier passes, and leaves for later ones.
    """

    op: str
    inputs: tuple[Node, ...]
    width: int
    of_wanted: bool
    attributes: dict[str, Any]
    state: StateSpec | None = None


_WIDTHS: Final[dict[str, Callable[..., int]]] = {
    "embedding": lambda weight: int(weight.shape[1]),
    "position_embedding": lambda weight: int(weight.shape[1]),
    "type_embedding": lambda weight: int(weight.shape[1]),
    "linear": lambda weight, **_: int(weight.shape[0]),
    "attention": lambda q, state, **_: q.width // state.head_dim * state.value_dim,
    "shared_attention": lambda q, state, **_: (
        q.width // state.head_dim * state.value_dim
    ),
    "latent_attention": lambda q, state, **_: (
        q.width // state.head_dim * state.value_dim
    ),
    "head_linear": lambda weight, **_: int(weight.shape[0] * weight.shape[1]),
    "join": lambda x, y, **_: x.width + y.width,
    "delta_rule": lambda v, **_: int(v.width),
    "columns": lambda x, first, n, of=None: x.width // (of or x.width) * int(n),
    "experts": lambda experts, **_: int(experts.down.shape[1]),
}
"""Width of an operation's value, from its arguments, unless it is the first input's."""


class Recorder:
    """The vocabulary of `llamacy.ops.vocabulary`; values are nodes.

    Each operation is recorded by its signature there, so that a new one needs nothing
    here unless its rows are of another width than those of its first input.

    Attributes
    ----------
    nodes : list of Node
        The graph, in the order in which it was recorded.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    @property
    def states(self) -> list[StateSpec]:
        """The states that layers keep between passes."""
        return [node.state for node in self.nodes if node.state is not None]

    def __getattr__(self, op: str) -> Callable[..., Node]:
        if not hasattr(Ops, op):
            raise AttributeError(f"{op}: not an operation of the vocabulary")

        def record(*args: Any, **options: Any) -> Node:
            arguments = _signature(op).bind(self, *args, **options).arguments
            del arguments["self"]
            return self._record(op, arguments)

        return record

    def _record(self, op: str, arguments: dict[str, Any]) -> Node:
        inputs = tuple(each for each in arguments.values() if isinstance(each, Node))
        attributes = {
            name: each
            for name, each in arguments.items()
            if not isinstance(each, Node) and name != "state"
        }
        width = _WIDTHS[op](**arguments) if op in _WIDTHS else inputs[0].width
        of_wanted = op in ("wanted", "mean") or any(node.of_wanted for node in inputs)
        assert attributes.pop("of_wanted", of_wanted) == of_wanted
        state = arguments.get("state")
        node = Node(op, inputs, width, of_wanted, attributes, state)
        self.nodes.append(node)
        return node


@cache
def _signature(op: str) -> Signature:
    return signature(getattr(Ops, op))
