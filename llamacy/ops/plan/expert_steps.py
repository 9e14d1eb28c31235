"""The steps of a mixture of experts, and the buffers they share.

Rows choose experts, and get a place beside the rows that chose the same one: a slot for
each row and each of its experts. From there on rows are slots: they are gathered,
multiplied with their experts' matrices, activated and multiplied again, and at last
each row adds up its own. See experts.h. Where gate or up has an adapter, each of them
is computed by itself, its adapter's product is added, and then they are activated; as
is up where there is no gate, and both where they have a bound.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from llamacy.ops.adapters import LowRank
from llamacy.ops.experts import Experts
from llamacy.ops.plan.buffers import padded
from llamacy.ops.plan.fusion import GATES
from llamacy.ops.plan.kernel_choice import Kernels, all_digits
from llamacy.ops.plan.observing import Observer
from llamacy.ops.plan.routing import Routing
from llamacy.ops.plan.step import Buffer, Operand, Place, Step

_FLOATS: Final = ("F32", "F16", "BF16")
_ACTIVATIONS: Final = {form: op for op, form in GATES.items()} | {
    "clamped_swiglu": "clamped_swiglu"
}
"""Kernels that join gate and up, by the forms of products that do so at their end."""


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
    observer : Observer, optional
        Adds steps that look at the inputs of matrices.
    """

    def __init__(
        self,
        kernels: Kernels,
        n_batch: int,
        add: Callable[[Step], None],
        observer: Observer | None = None,
    ) -> None:
        self._kernels = kernels
        self._n_batch = n_batch
        self._add = add
        self._observer = observer
        self._routings: dict[tuple[Any, ...], Routing] = {}

    def emit(
        self,
        experts: Experts[Any],
        x: Place,
        scores: Place,
        y: Buffer,
        *,
        of_wanted: bool,
    ) -> None:
        """Emit the steps from rows of `x` and their `scores` to rows of `y`."""
        _, n_ff, n_in = experts.up.shape
        matrices = _reading_rows(experts)
        routes = self._routing(experts)
        products = _Products(self._add, routes, of_wanted)
        add = products.add
        add(
            "route",
            {"scores": scores},
            {"routes": routes},
            bias=experts.selection_bias,
        )
        add("group", {}, {"routes": routes})
        self._look(matrices, x, routes, of_wanted, is_by_row=True)
        gathered = None
        are_floats = (w.type_name in _FLOATS for w in matrices)
        if experts.has_adapter_before or any(are_floats):
            gathered = _slots("gathered", routes, n_in)
        prepared = self._prepared(routes, n_in, *matrices)
        add(
            "gather",
            {"routes": routes, "x": x},
            {"y": gathered, "prepared": prepared},
            n=n_in,
            n_digits=self._digits(*matrices),
            is_by_row=True,
        )
        source = {"routes": routes, "x": gathered, "prepared": prepared}
        hidden = products.activated(source, experts)
        self._look((experts.down,), hidden, routes, of_wanted, is_by_row=False)
        prepared = self._prepared(routes, n_ff, experts.down)
        if prepared is not None:
            add(
                "gather",
                {"routes": routes, "x": hidden},
                {"prepared": prepared},
                n=n_ff,
                n_digits=self._digits(experts.down),
                is_by_row=False,
            )
        n_out = experts.down.shape[1]
        out = _slots("out", routes, n_out)
        products.adapted(
            {"routes": routes, "x": hidden, "prepared": prepared},
            out,
            experts.down,
            experts.down_scale,
            experts.down_bias,
            experts.down_adapter,
        )
        add("mix", {"routes": routes, "x": out}, {"y": y}, n=n_out)

    def _look(
        self,
        matrices: tuple[Any, ...],
        x: Place,
        routes: Routing,
        of_wanted: bool,
        *,
        is_by_row: bool,
    ) -> None:
        if self._observer is None:
            return
        for step in self._observer.look(
            matrices, x, of_wanted=of_wanted, routes=routes, is_by_row=is_by_row
        ):
            self._add(step)

    def _routing(self, experts: Experts[Any]) -> Routing:
        key = (
            experts.up.shape[0],
            experts.n_used,
            experts.is_normalized,
            experts.gating,
            experts.scale,
            experts.n_group,
            experts.n_group_used,
            experts.is_chosen_by_gates,
            experts.jitter,
            experts.n_best,
        )
        if key not in self._routings:
            self._routings[key] = Routing(self._n_batch, *key)
        return self._routings[key]

    def _prepared(self, routes: Routing, width: int, *readers: Any) -> Buffer | None:
        """Return room for prepared slots, if one of the readers reads them prepared."""
        if self._digits(*readers) is None:
            return None
        n_bytes = self._kernels.prepared_bytes(width, routes.n_prepared)
        return Buffer(f"prepared slots of {n_bytes}", (n_bytes,), "uint8")

    def _digits(self, *readers: Any) -> int | None:
        """Count the digits of prepared slots that are read; None if none is."""
        return all_digits(map(self._kernels.digits_read, readers)) or None


class _Products:
    """Emits the steps of one mixture, and products on its slots.

    Parameters
    ----------
    add : callable
        Receives each step.
    routes : Routing
        Which rows go to which experts.
    of_wanted : bool
        Whether rows are the wanted ones.
    """

    def __init__(
        self, add: Callable[[Step], None], routes: Routing, of_wanted: bool
    ) -> None:
        self._add = add
        self._routes = routes
        self._of_wanted = of_wanted

    def add(
        self,
        op: str,
        reads: Mapping[str, Operand | None],
        writes: Mapping[str, Operand | None],
        **constants: Any,
    ) -> None:
        """Emit a step."""
        self._add(Step.of(op, reads, writes, of_wanted=self._of_wanted, **constants))

    def activated(
        self, source: Mapping[str, Operand | None], experts: Experts[Any]
    ) -> Buffer:
        """Emit the products with gate and up, and what joins or follows them."""
        e, n_ff, routes = experts, experts.up.shape[1], self._routes
        hidden = _slots("hidden", routes, n_ff)
        if e.gate is None:
            self.adapted(source, hidden, e.up, e.up_scale, e.up_bias, e.up_adapter)
            slots: dict[str, Operand | None] = {"routes": routes, "x": hidden}
            self.add(e.activation, slots, {"y": hidden}, n=n_ff)
        elif e.has_adapter_before or e.limit:
            up, gate_scale = _slots("up", routes, n_ff), e.gate_scale
            self.adapted(
                source, hidden, e.gate, gate_scale, e.gate_bias, e.gate_adapter
            )
            self.adapted(source, up, e.up, e.up_scale, e.up_bias, e.up_adapter)
            self._join(hidden, up, e)
        else:
            self.add(
                "experts",
                source,
                {"y": hidden},
                form=e.activation,
                weight=e.gate,
                scale=e.gate_scale,
                bias=e.gate_bias,
                weight2=e.up,
                scale2=e.up_scale,
                bias2=e.up_bias,
            )
        return hidden

    def _join(self, gate: Buffer, up: Buffer, experts: Experts[Any]) -> None:
        """Emit the activation of two products, which takes the place of the first."""
        limit, n, join = experts.limit, experts.up.shape[1], experts.activation
        slots: dict[str, Operand | None] = {"routes": self._routes, "x": gate}
        op = _ACTIVATIONS[join] if not limit else "mul"
        if limit:
            assert join == "swiglu"
            self.add("silu", slots, {"y": gate}, n=n)
            self.add("clamp", slots, {"y": gate}, n=n, constants=(-math.inf, limit))
            of_up: dict[str, Operand | None] = {"routes": self._routes, "x": up}
            self.add("clamp", of_up, {"y": up}, n=n, constants=(-limit, limit))
        self.add(op, {**slots, "y": up}, {"z": gate})

    def adapted(
        self,
        source: Mapping[str, Operand | None],
        y: Buffer,
        weight: Any,
        scale: Any,
        bias: Any,
        adapter: LowRank[Any] | None,
    ) -> None:
        """Emit the product of a matrix, and that of its adapter, which is added."""
        self.add(
            "experts",
            source,
            {"y": y},
            form="store",
            weight=weight,
            scale=scale,
            bias=bias,
        )
        if adapter is None:
            return
        low = _slots("low", self._routes, adapter.down.shape[1])
        self.add("experts", source, {"y": low}, form="store", weight=adapter.down)
        source = {"routes": self._routes, "x": low}
        self.add("experts", source, {"y": y}, form="add", weight=adapter.up)


def _reading_rows(experts: Experts[Any]) -> tuple[Any, ...]:
    """Return the matrices that rows are multiplied with."""
    both = experts.gate, experts.up
    return tuple(each for each in both if each is not None)


def _slots(use: str, routes: Routing, width: int) -> Buffer:
    """Return a buffer with a row for each slot; mixtures of equal sizes share it."""
    shape = (routes.n_slots, padded(width))
    return Buffer(f"{use} {shape[0]}x{shape[1]}", shape)
