"""The steps of a mixture of experts, and the buffers they share.

Rows choose experts, and get a place beside the rows that chose the same one: a slot for
each row and each of its experts. From there on rows are slots: they are gathered,
multiplied with their experts' matrices, activated and multiplied again, and at last
each row adds up its own. See experts.h.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llamacy.ops.experts import Experts
from llamacy.ops.plan.buffers import padded
from llamacy.ops.plan.kernel_choice import Kernels
from llamacy.ops.plan.routing import Routing
from llamacy.ops.plan.step import Buffer, Operand, Step

_FLOATS: Final = ("F32", "F16", "BF16")


class ExpertSteps:
    """Emits the mixtures of experts of one program.

    All of a program's layers use the same buffers, one after another.

    Parameters
    ----------
    kernels : Kernels
        The kernels that the steps will call.
    n_batch : int
        Most rows of a pass.
    add : callable
        Receives each step.
    """

    def __init__(
        self, kernels: Kernels, n_batch: int, add: Callable[[Step], None]
    ) -> None:
        self._kernels = kernels
        self._n_batch = n_batch
        self._add = add
        self._routings: dict[tuple[int, int, bool], Routing] = {}

    def emit(
        self,
        experts: Experts[Any],
        x: Buffer,
        scores: Buffer,
        y: Buffer,
        *,
        of_wanted: bool,
    ) -> None:
        """Emit the steps from rows of `x` and their `scores` to rows of `y`."""
        n_expert, n_ff, n_embd = experts.gate.shape
        routes = self._routing(n_expert, experts.n_used, experts.is_normalized)

        def add(
            op: str,
            reads: dict[str, Operand | None],
            writes: dict[str, Operand | None],
            **constants: Any,
        ) -> None:
            self._add(Step.of(op, reads, writes, of_wanted=of_wanted, **constants))

        add("route", {"scores": scores}, {"routes": routes}, scale=experts.scale)
        add("group", {}, {"routes": routes})
        gathered = None
        if any(weight.type_name in _FLOATS for weight in (experts.gate, experts.up)):
            gathered = _slots("gathered", routes, n_embd)
        prepared = self._prepared(routes, n_embd, experts.gate, experts.up)
        add(
            "gather",
            {"routes": routes, "x": x},
            {"y": gathered, "prepared": prepared},
            n=n_embd,
            is_by_row=True,
        )
        hidden = _slots("hidden", routes, n_ff)
        add(
            "experts",
            {"routes": routes, "x": gathered, "prepared": prepared},
            {"y": hidden},
            form=experts.activation,
            weight=experts.gate,
            bias=experts.gate_bias,
            weight2=experts.up,
            bias2=experts.up_bias,
        )
        prepared = self._prepared(routes, n_ff, experts.down)
        if prepared is not None:
            add(
                "gather",
                {"routes": routes, "x": hidden},
                {"prepared": prepared},
                n=n_ff,
                is_by_row=False,
            )
        out = _slots("out", routes, n_embd)
        add(
            "experts",
            {"routes": routes, "x": hidden, "prepared": prepared},
            {"y": out},
            form="store",
            weight=experts.down,
            bias=experts.down_bias,
        )
        add("mix", {"routes": routes, "x": out}, {"y": y}, n=n_embd)

    def _routing(self, n_expert: int, n_used: int, is_normalized: bool) -> Routing:
        key = (n_expert, n_used, is_normalized)
        if key not in self._routings:
            self._routings[key] = Routing(self._n_batch, *key)
        return self._routings[key]

    def _prepared(self, routes: Routing, width: int, *readers: Any) -> Buffer | None:
        """Return room for prepared slots, if one of the readers reads them prepared."""
        if not any(map(self._kernels.reads_prepared, readers)):
            return None
        n_bytes = self._kernels.prepared_bytes(width, routes.n_prepared)
        return Buffer(f"prepared slots of {n_bytes}", (n_bytes,), "uint8")


def _slots(use: str, routes: Routing, width: int) -> Buffer:
    """Return a buffer with a row for each slot; mixtures of equal sizes share it."""
    shape = (routes.n_slots, padded(width))
    return Buffer(f"{use} {shape[0]}x{shape[1]}", shape)
