"""The keys and values of a sequence in the reference executor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.state.sequence import NEVER

Array = NDArray[np.float32]


class ReferenceSequence:
    """The keys and values of one sequence: a pair of arrays for each layer."""

    def __init__(self) -> None:
        self.n_past = 0
        self.n_long = 0
        self.adapted_from = NEVER
        self.keys: dict[int, Array] = {}  # layer -> (n_past, n_head_kv, head_dim)
        self.values: dict[int, Array] = {}

    @property
    def pages(self) -> tuple[int, ...]:
        """Its arrays, by their addresses."""
        return tuple(map(id, (*self.keys.values(), *self.values.values())))

    def fork(self) -> ReferenceSequence:
        """Return a sequence with the same tokens; arrays are never changed in place."""
        twin = ReferenceSequence()
        twin.n_past, twin.n_long = self.n_past, self.n_long
        twin.adapted_from = self.adapted_from
        twin.keys, twin.values = dict(self.keys), dict(self.values)
        return twin

    def can_go_back(self, n: int) -> bool:
        """Whether `n` is among its tokens: it keeps even those that windows hide."""
        return 0 <= n <= self.n_past

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens."""
        self.n_past = min(self.n_past, n)

    def close(self) -> None:
        """Drop the arrays."""
        self.n_past = 0
        self.keys.clear()
        self.values.clear()
