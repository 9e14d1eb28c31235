"""Which rows go into the next forward pass.

Continuous batching: each pass has a row, or a few, of every text that grows, and as
much of the prompts as there is room for beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llamacy.generation.executor import Executor
from llamacy.generation.request import AnyRequest
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage

MAX_DECODE_ROWS = 16
"""Most rows of a pass that grow texts; more texts take turns."""

MAX_READ_BESIDE = 128
"""Most prompt rows of a pass in which texts grow too: they wait for it."""

LOGITS_BYTES = 64 * 2**20
"""Most memory for the logits of prompts whose every token is scored."""


class Part(NamedTuple):
    """The rows of one request in a pass.

    Attributes
    ----------
    request : Request
    rows : Rows
    is_decode : bool
        Whether they are of the text that it grows; otherwise they are prefill.
    """

    request: AnyRequest
    rows: Rows
    is_decode: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """Most rows of a pass.

    Attributes
    ----------
    n_batch : int
        Of all kinds.
    n_decode : int
        Most rows that grow texts.
    n_scored : int
        Most rows of prompts of which all logits are wanted.
    """

    n_batch: int
    n_decode: int
    n_scored: int

    @classmethod
    def of(cls, executor: Executor) -> Limits:
        """Limits of an executor's passes."""
        return cls(
            n_batch=executor.n_batch,
            n_decode=min(MAX_DECODE_ROWS, executor.n_batch),
            n_scored=max(1, LOGITS_BYTES // (4 * executor.n_vocab)),
        )


def choose_parts(requests: Sequence[AnyRequest], limits: Limits) -> list[Part]:
    """Choose the rows of the next pass: those of texts that grow, then of prompts.

    Parameters
    ----------
    requests : sequence of Request
        The active ones, the most urgent first.
    limits : Limits
        Most rows of each kind.
    """
    parts = _decode_parts(requests, limits)
    room = limits.n_batch - sum(len(part.rows.tokens) for part in parts)
    if parts:
        room = min(room, MAX_READ_BESIDE)
    return parts + _prefill_parts(requests, room, limits.n_scored)


def _decode_parts(requests: Sequence[AnyRequest], limits: Limits) -> list[Part]:
    """Share the rows out equally; with few texts, each may have several."""
    growing = [one for one in requests if one.stage is Stage.GROWING]
    growing = growing[: limits.n_decode]
    return [
        Part(one, one.next_rows(limits.n_decode // len(growing), limits.n_scored), True)
        for one in growing
    ]


def _prefill_parts(
    requests: Sequence[AnyRequest], room: int, room_scored: int
) -> list[Part]:
    """Fill the room with prompts, the first of them first."""
    parts = []
    for request in requests:
        if request.stage is not Stage.READING or room == 0:
            continue
        rows = request.next_rows(room, room_scored)
        if rows.tokens:
            parts.append(Part(request, rows, request.goal.is_decoding))
            room -= len(rows.tokens)
            room_scored -= len(rows.tokens) if rows.wanted == "all" else 0
    return parts
