"""The rows of a batch: checked, and cut into runs that are attended together."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.ops.batch import Batch, check_range
from llamacy.ops.plan.step import Step
from llamacy.ops.plan.steps import MAX_RUN
from llamacy.ops.state.layout import StateSlot
from llamacy.ops.state.lookahead import Lookahead
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.specs import KeyValues


class Part(NamedTuple):
    """The rows of a batch that continue one sequence, or look ahead of it."""

    first: int
    n_rows: int
    sequence: PagedSequence | Lookahead


def split_parts(batch: Batch, pool: PagePool, n_batch: int, n_vocab: int) -> list[Part]:
    """Split a batch by its sequences.

    Parameters
    ----------
    batch : Batch
        1 to `n_batch` rows.
    pool : PagePool
        The pool of all its sequences.
    n_batch : int
        Most rows of a pass.
    n_vocab : int
        Tokens of the vocabulary.

    Raises
    ------
    ArgumentError
        The batch does not fit the model, or rows of a sequence are not together.
    """
    _check_fields(batch, n_batch, n_vocab)
    # lists: arrays of a few rows, as of a token, cost more than their numbers
    positions = batch.positions.tolist()
    parts: list[Part] = []
    first, n_rows = 0, len(positions)
    for row in range(1, n_rows + 1):
        sequence = batch.sequences[first]
        if row < n_rows and batch.sequences[row] is sequence:
            if positions[row] != positions[row - 1] + 1:
                raise ArgumentError(
                    "positions: rows of one sequence must be consecutive"
                )
            continue
        if not isinstance(sequence, PagedSequence) or sequence.pool is not pool:
            raise ArgumentError("sequences: found one of another model")
        if any(sequence is part.sequence for part in parts):
            raise ArgumentError("sequences: rows of one must follow each other")
        parts.append(Part(first, row - first, sequence))
        first = row
    return parts


def cut_runs(
    batch: Batch, parts: list[Part], longest: int
) -> tuple[NDArray[np.int32], NDArray[np.uintp]]:
    """Cut rows into runs of at most `longest` rows.

    Returns
    -------
    runs : int32, (n_runs, 3)
        First row, number of rows and first position of each.
    pages : uintptr, (n_runs,)
        Address of the page table of each run's sequence.
    """
    runs, pages = [], []
    for first, n_rows, sequence in parts:
        table, position = sequence.page_table, int(batch.positions[first])
        for done in range(0, n_rows, longest):
            length = min(longest, n_rows - done)
            runs.append((first + done, length, position + done))
            pages.append(table)
    return np.asarray(runs, np.int32), np.asarray(pages, np.uintp)


def cut_spans(parts: list[Part]) -> tuple[NDArray[np.int32], NDArray[np.uintp]]:
    """Cut rows where states are left: at the end of each sequence's, or before.

    Returns
    -------
    spans : int32, (n_spans, 3)
        First row, number of rows and first position of each.
    states : uintptr, (n_spans, 2)
        Addresses of the states before its rows, and after them.
    """
    spans, states = [], []
    for first, n_rows, sequence in parts:
        row = first
        for span in sequence.spans(n_rows):
            spans.append((row, span.n_rows, sequence.n_past + row - first))
            states.append((span.before, span.after))
            row += span.n_rows
    return np.asarray(spans, np.int32), np.asarray(states, np.uintp)


def cut_wanted(
    batch: Batch, parts: list[Part], longest: int
) -> tuple[NDArray[np.int32], NDArray[np.uintp]]:
    """Cut the wanted rows into runs of rows that follow each other in one sequence.

    Returns
    -------
    runs : int32, (n_runs, 3)
        First wanted row, number of rows and first position of each.
    pages : uintptr, (n_runs,)
        Address of the page table of each run's sequence.
    """
    firsts = [part.first for part in parts]
    runs: list[tuple[int, int, int]] = []
    pages: list[int] = []
    part_of_run, after = -1, -1
    for i, row in enumerate(batch.wanted.tolist()):
        part = bisect_right(firsts, row) - 1
        if runs and part == part_of_run and row == after and runs[-1][1] < longest:
            first, length, position = runs[-1]
            runs[-1] = first, length + 1, position
        else:
            runs.append((i, 1, int(batch.positions[row])))
            pages.append(parts[part].sequence.page_table)
        part_of_run, after = part, row + 1
    return np.asarray(runs, np.int32).reshape(-1, 3), np.asarray(pages, np.uintp)


def longest_run(steps: list[Step]) -> int:
    """Return the most rows of a run: the queries of one KV head, in every layer."""
    longest = MAX_RUN
    for step in steps:
        slot = step.reads.get("state")
        if isinstance(slot, StateSlot) and isinstance(slot.spec, KeyValues):
            n_shared = step.constants["n_head"] // slot.spec.n_head_kv
            longest = min(longest, max(1, MAX_RUN // n_shared))
    return longest


def _check_fields(batch: Batch, n_batch: int, n_vocab: int) -> None:
    """Raise ArgumentError unless fields are of one length and in their ranges."""
    n_rows = len(batch.tokens)
    if not 1 <= n_rows <= n_batch:
        raise ArgumentError(f"rows: wanted 1 to {n_batch}, found {n_rows}")
    for name, found in (
        ("positions", len(batch.positions)),
        ("sequences", len(batch.sequences)),
    ):
        if found != n_rows:
            raise ArgumentError(
                f"{name}: wanted {n_rows}, one for each token, found {found}"
            )
    check_range("tokens", batch.tokens.tolist(), n_vocab)
    check_range("wanted", batch.wanted.tolist(), n_rows)
