"""Adapters that act on a text's last rows only, from a position on (aLoRA).

Rows before it are computed without the adapter, in a pass of their own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.batch import Batch


class Half(NamedTuple):
    """Rows of a batch that are all computed with an adapter, or all without.

    Attributes
    ----------
    batch : Batch
        The rows.
    logits : intp, (n_wanted,)
        The rows of the whole batch's logits that theirs are.
    is_adapted : bool
        Whether they are computed with the adapter.
    """

    batch: Batch
    logits: NDArray[np.intp]
    is_adapted: bool


def halves(batch: Batch) -> list[Half]:
    """Take a batch apart by each sequence's `adapted_from`.

    Of a sequence with rows of both kinds, those without the adapter come first, so that
    the others find their keys and values.
    """
    starts = np.array([each.adapted_from for each in batch.sequences], np.int64)
    is_adapted = batch.positions >= starts
    kinds = [kind for kind in (False, True) if (is_adapted == kind).any()]
    return [_half(batch, is_adapted == kind, kind) for kind in kinds]


def _half(batch: Batch, is_in: NDArray[np.bool_], is_adapted: bool) -> Half:
    rows = np.flatnonzero(is_in)
    logits = np.flatnonzero(is_in[batch.wanted])
    numbers = np.cumsum(is_in) - 1  # of the rows, within the half
    part = Batch(
        batch.tokens[rows],
        batch.positions[rows],
        [batch.sequences[row] for row in rows],
        numbers[batch.wanted[logits]].astype(np.int32),
    )
    return Half(part, logits, is_adapted)
