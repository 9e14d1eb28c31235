"""The steps of a mixture of experts, and the buffers they share.

Rows choose experts, and get a place beside those that chose the same one: a slot for
each row and each of its experts. From there on rows are slots: they are gathered,
multiplied with their experts' matrices, activated and multiplied again, and at last
each row adds up its own. See experts.h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.kernels.packing.matrices import PackedExperts
from llamacy.ops.experts import Experts
from llamacy.ops.memory import touched
from llamacy.ops.plan.buffers import Buffer, Prepared, padded
from llamacy.ops.plan.routing import Routing
from llamacy.ops.plan.runtime import Program

Waits = Callable[[Iterable[object], Iterable[object]], bool]
"""Whether a step that reads and writes these must wait for those before."""

_FLOATS: Final = ("F32", "F16", "BF16")
_NONE: Final = (None, None)


class ExpertSteps:
    """Emits mixtures of experts into one program.

    All of a program's layers use the same buffers, one after another.

    Parameters
    ----------
    program : receives the steps.
    n_batch : most rows of a pass.
    waits : tells which steps must wait, and is told what each of them touches.
    """

    def __init__(self, program: Program, n_batch: int, waits: Waits) -> None:
        self._program = program
        self._n_batch = n_batch
        self._waits = waits
        self._routings: dict[tuple[int, int, bool], Routing] = {}
        self._buffers: dict[tuple[Any, ...], NDArray[Any]] = {}

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
        routing = self._routing(n_expert, experts.n_used, experts.is_normalized)
        self._route(routing, scores, of_wanted)
        gate, up = (experts.gate, experts.gate_bias), (experts.up, experts.up_bias)
        floats = None
        if any(weight.type_name in _FLOATS for weight in (experts.gate, experts.up)):
            floats = self._floats("gathered", routing, n_embd)
        prepared = self._prepared(routing, n_embd, experts.gate, experts.up)
        self._gather(routing, x, n_embd, floats, prepared, True, of_wanted)
        hidden = self._floats("hidden", routing, n_ff)
        self._multiply(
            experts.activation, routing, floats, prepared, hidden, gate, up, of_wanted
        )
        prepared = self._prepared(routing, n_ff, experts.down)
        if prepared is not None:
            self._gather(routing, hidden, n_ff, None, prepared, False, of_wanted)
        out = self._floats("out", routing, n_embd)
        down = (experts.down, experts.down_bias)
        self._multiply("store", routing, hidden, prepared, out, down, _NONE, of_wanted)
        waits = self._waits((routing, out), (y,))
        self._program.mix(routing, out, n_embd, y, waits=waits, of_wanted=of_wanted)

    def _route(self, routing: Routing, scores: Buffer, of_wanted: bool) -> None:
        waits = self._waits((scores,), (routing,))
        self._program.route(routing, scores, waits=waits, of_wanted=of_wanted)
        waits = self._waits((routing,), (routing,))
        self._program.group(routing, waits=waits, of_wanted=of_wanted)

    def _gather(
        self,
        routing: Routing,
        x: Buffer,
        width: int,
        y: Buffer | None,
        prepared: Prepared | None,
        is_by_row: bool,
        of_wanted: bool,
    ) -> None:
        self._program.gather(
            routing, x, width, y, prepared, is_by_row,
            waits=self._waits((routing, x), (y, prepared)), of_wanted=of_wanted,
        )  # fmt: skip

    def _multiply(
        self,
        form: str,
        routing: Routing,
        x: Buffer | None,
        prepared: Prepared | None,
        y: Buffer,
        weight: tuple[PackedExperts, Buffer | None],
        weight2: tuple[PackedExperts | None, Buffer | None],
        of_wanted: bool,
    ) -> None:
        self._program.experts(
            form, routing, *weight, x, prepared, y, *weight2,
            waits=self._waits((routing, x, prepared), (y,)), of_wanted=of_wanted,
        )  # fmt: skip

    # Buffers.

    def _routing(self, n_expert: int, n_used: int, is_normalized: bool) -> Routing:
        key = (n_expert, n_used, is_normalized)
        if key not in self._routings:
            self._routings[key] = Routing(self._n_batch, *key)
        return self._routings[key]

    def _floats(self, use: str, routing: Routing, width: int) -> Buffer:
        shape = (routing.n_slots, padded(width))
        return self._buffer((use, *shape), shape, np.float32)

    def _prepared(
        self, routing: Routing, width: int, *readers: PackedExperts
    ) -> Prepared | None:
        """Room for slots as the readers want them, if one does."""
        if not any(map(self._program.reads_prepared, readers)):
            return None
        nbytes = self._program.prepared_bytes(width, routing.n_prepared)
        return self._buffer(("prepared", nbytes), (nbytes,), np.uint8)

    def _buffer(
        self, key: tuple[Any, ...], shape: tuple[int, ...], dtype: Any
    ) -> NDArray[Any]:
        if key not in self._buffers:
            self._buffers[key] = touched(shape, dtype)
        return self._buffers[key]
