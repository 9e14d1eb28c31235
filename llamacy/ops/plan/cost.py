"""The least cost of a forward pass: the bytes it must read, and its operations.

A pass reads the weights as they are packed, once; but of an embedding only the rows
of the tokens, and of experts only as many as a row goes through (several rows may all
choose the same ones); and what layers keep of each sequence, once. It computes the
products of matrices and those of attention, a multiplication and an addition each.
Activations, which stay in caches, and operations on single rows, such as norms, are
not counted: they are little beside these.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from llamacy.ops.plan.routing import Routing
from llamacy.ops.plan.step import Step
from llamacy.ops.state.layout import StateSlot

_WEIGHTS: Final = ("weight", "bias", "weight2", "bias2")


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one pass, of several, or of one step.

    Attributes
    ----------
    n_bytes : int
        Bytes read from memory.
    n_ops : int
        Multiplications and additions.
    """

    n_bytes: int = 0
    n_ops: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.n_bytes + other.n_bytes, self.n_ops + other.n_ops)


class PassCost:
    """The cost of passes through one program.

    Parameters
    ----------
    steps : iterable of Step
        The program.
    """

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = list(steps)

    def of(self, first: int, n_rows: int, n_wanted: int) -> Cost:
        """Cost of a pass over tokens of one sequence.

        Parameters
        ----------
        first : int
            Position of the first token.
        n_rows : int
            How many tokens.
        n_wanted : int
            Of how many of them the logits are wanted.
        """
        costs = (step_cost(step, first, n_rows, n_wanted) for step in self._steps)
        return sum(costs, Cost())


def step_cost(step: Step, first: int, n_rows: int, n_wanted: int) -> Cost:
    """Cost of one step of such a pass."""
    m = n_wanted if step.of_wanted else n_rows
    if m == 0:
        return Cost()
    if step.op in ("embedding", "position_embedding", "type_embedding"):
        weight = step.constants["weight"]
        return Cost(weight.nbytes // weight.shape[0] * m)
    if step.op == "experts":
        return _experts_cost(step, m)
    if step.op == "scores":  # counted with the attention that reads them
        return Cost()
    slot = step.reads.get("state")
    if isinstance(slot, StateSlot):
        n_head = step.constants.get("n_head", 0)
        first += n_rows - m  # the wanted ones are the last
        n_bytes, n_products = slot.spec.work(slot.kv_type, n_head, first, m)
        return Cost(n_bytes, 2 * n_products)
    n_products = 0
    if step.op == "linear":
        n_products = sum(each.shape[0] * each.shape[1] for each in _matrices(step))
    elif step.op == "head_linear":
        n_products = math.prod(step.constants["weight"].shape)
    return Cost(sum(each.nbytes for each in _weights(step)), 2 * n_products * m)


def _experts_cost(step: Step, m: int) -> Cost:
    routes = step.reads["routes"]
    assert isinstance(routes, Routing)
    n_used = routes.n_used
    n_bytes = sum(each.nbytes // each.shape[0] * n_used for each in _weights(step))
    n_products = n_used * sum(each.shape[1] * each.shape[2] for each in _matrices(step))
    return Cost(n_bytes, 2 * n_products * m)


def _weights(step: Step) -> list[Any]:
    return [step.constants[name] for name in _WEIGHTS if name in step.constants]


def _matrices(step: Step) -> list[Any]:
    """List the weights of products, without biases."""
    names = ("weight", "weight2")
    return [step.constants[name] for name in names if name in step.constants]
