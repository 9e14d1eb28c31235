"""The input of one forward pass: rows of (token, position, sequence).

One sequence in decode, a prompt in prefill, many texts together: all are the same call
with other rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError
from llamacy.ops.state.sequence import SequenceState

Wanted = Literal["last", "all", "none"]

N_BATCH = 512
"""Most rows of a pass, unless an executor is made with another number."""

MAX_BATCH = 2**13
"""The largest such number that callers may ask for: every buffer is as high."""


@dataclass(frozen=True)
class Batch:
    """Rows of one forward pass.

    Attributes
    ----------
    tokens : int32, (n_rows,)
        Token ids of the rows.
    positions : int32, (n_rows,)
        Their positions. Rows of one sequence are consecutive, and continue it.
    sequences : list of SequenceState
        The sequence of each row.
    wanted : int32, (n_wanted,)
        The rows whose logits are computed.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    sequences: list[SequenceState]
    wanted: NDArray[np.int32]

    @classmethod
    def of(
        cls, tokens: Sequence[int], sequence: SequenceState, wanted: Wanted = "last"
    ) -> Batch:
        """Make the rows that continue `sequence` with `tokens`."""
        return cls.join([(tokens, sequence, wanted)])

    @classmethod
    def join(
        cls, parts: Iterable[tuple[Sequence[int], SequenceState, Wanted]]
    ) -> Batch:
        """Make the rows of several sequences, each continued with its own tokens."""
        tokens: list[int] = []
        positions: list[int] = []
        sequences: list[SequenceState] = []
        rows: list[int] = []
        for part, sequence, wanted in parts:
            first, end = len(tokens), len(tokens) + len(part)
            tokens.extend(part)
            positions.extend(range(sequence.n_past, sequence.n_past + len(part)))
            sequences.extend([sequence] * len(part))
            if wanted == "all":
                rows.extend(range(first, end))
            elif wanted == "last" and end > first:
                rows.append(end - 1)
        return cls(
            np.asarray(tokens, np.int32),
            np.asarray(positions, np.int32),
            sequences,
            np.asarray(rows, np.int32),
        )


def check_positions(batch: Batch, n_positions: int) -> None:
    """Check that a model with learned positions has learned those of a batch.

    Raises
    ------
    ArgumentError
        A row is beyond the last of them.
    """
    if len(batch.positions) and batch.positions.max() >= n_positions:
        wanted = f"0 to {n_positions - 1}, as the model has learned no others"
        raise ArgumentError(
            f"positions: wanted {wanted}, found {batch.positions.max()}"
        )
