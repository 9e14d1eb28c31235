"""Which rows go into the next forward pass.

Continuous batching: each pass has a row of every text that grows, or a few where tokens
must follow or drafts are worth it, and as much of the prompts as there is room for
beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from llamacy.generation.drafting.allotting import allot
from llamacy.generation.drafting.proposer import Proposer
from llamacy.generation.drafting.row_costs import RowCosts
from llamacy.generation.executor import Executor
from llamacy.generation.request import AnyRequest
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage
from llamacy.ops.state.layout import MOST_CHECKED, TRIED_BYTES

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
    n_checked : int
        Most of them in a pass that checks drafts, which get what texts leave of these.
    n_drafted : int
        Most rows that are drafted.
    n_scored : int
        Most rows of prompts of which all logits are wanted.
    """

    n_batch: int
    n_decode: int
    n_checked: int
    n_drafted: int
    n_scored: int

    @classmethod
    def of(cls, executor: Executor, max_active: int) -> Limits:
        """Limits of an executor's passes, with at most `max_active` requests."""
        n_batch = executor.n_batch
        return cls(
            n_batch=n_batch,
            n_decode=min(max(MOST_CHECKED, max_active), n_batch),
            n_checked=min(MOST_CHECKED, n_batch),
            n_drafted=TRIED_BYTES // max(1, executor.text_bytes),
            n_scored=max(1, LOGITS_BYTES // (4 * executor.n_vocab)),
        )


def choose_parts(
    requests: Sequence[AnyRequest],
    limits: Limits,
    costs: RowCosts,
    proposer: Proposer[Any] | None = None,
    n_beside: int = MAX_READ_BESIDE,
) -> list[Part]:
    """Choose the rows of the next pass: those of texts that grow, then of prompts.

    Parameters
    ----------
    requests : sequence of Request
        The active ones, the most urgent first.
    limits : Limits
        Most rows of each kind.
    costs : RowCosts
        The costs of passes, which decide how much is drafted.
    proposer : Proposer, optional
        Drafts all texts together.
    n_beside : int
        Most prompt rows where texts grow, too.
    """
    growing = _growing(requests, limits.n_decode)
    parts = _decode_parts(growing, limits, costs, proposer)
    room = limits.n_batch - sum(len(part.rows.tokens) for part in parts)
    if parts:
        room = min(room, n_beside)
    reading = [
        one for one in requests if one.stage is Stage.READING and one not in growing
    ]
    return parts + _prefill_parts(reading, room, limits.n_scored)


def next_tokens(
    parts: Sequence[Part], limits: Limits, costs: RowCosts
) -> list[int] | None:
    """Return the next token of each text, if all texts of a pass just go on growing.

    None if one has ended, or has to wait, or has a draft that is worth checking.
    """
    requests = [part.request for part in parts]
    if not all([request.goes_on for request in requests]):
        return None
    following = _decode_parts(dict.fromkeys(requests, 1), limits, costs, None)
    tokens = [token for part in following for token in part.rows.tokens]
    return tokens if len(tokens) == len(following) == len(parts) else None


def _growing(requests: Sequence[AnyRequest], n_rows: int) -> dict[AnyRequest, int]:
    """Return the texts that grow in a pass of `n_rows` rows, and how many each needs.

    A text that tokens must follow reads these and grows at once, if there is room.
    """
    growing = [one for one in requests if one.stage is Stage.GROWING][:n_rows]
    found = dict.fromkeys(growing, 1)
    room = n_rows - len(found)
    for one in requests:
        if one.stage is Stage.READING and one.goal.is_decoding and one.n_unread <= room:
            found[one] = one.n_unread
            room -= one.n_unread
    return found


def _decode_parts(
    growing: Mapping[AnyRequest, int],
    limits: Limits,
    costs: RowCosts,
    proposer: Proposer[Any] | None,
) -> list[Part]:
    """Give each text its rows, and the free ones to the drafts that are worth most."""
    n_rows = sum(growing.values())
    n_tried = n_rows - len(growing)  # rows that drafts make part of what is tried
    n_free = max(0, min(limits.n_checked - n_rows, limits.n_drafted - n_tried))
    n_drafted = [0] * len(growing)
    if n_free and growing:
        for one in growing:
            one.begin_draft(n_free)
        if proposer is not None:
            proposer.write(len(growing), costs)
        chances = [one.chances() for one in growing]
        n_drafted = allot(chances, n_free, costs, n_rows=n_rows)
    parts = [
        Part(one, one.next_rows(needed + n, limits.n_scored), is_decode=True)
        for (one, needed), n in zip(growing.items(), n_drafted, strict=True)
        if not one.has_ended
    ]
    return [part for part in parts if part.rows.tokens]


def _prefill_parts(
    requests: Sequence[AnyRequest], room: int, room_scored: int
) -> list[Part]:
    """Fill the room with prompts, the first of them first."""
    parts = []
    for request in requests:
        if room == 0:
            break
        rows = request.next_rows(room, room_scored)
        if rows.tokens:
            parts.append(Part(request, rows, request.goal.is_decoding))
            room -= len(rows.tokens)
            room_scored -= len(rows.tokens) if rows.wanted == "all" else 0
    return parts
