"""The goal of a request that reads, and wants nothing of it but the sequence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.goals.goal import Goal
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage


class Read(Goal):
    """Read all tokens into the KV cache."""

    @property
    def n_shareable(self) -> int:
        """All tokens: it wants no logits."""
        return self.n_to_read

    @property
    def n_to_read(self) -> int:
        """All tokens."""
        return len(self.context.ids)

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        """Return rows without logits."""
        return self.context.rows(n_rows, self.n_to_read, "none")

    def take(self, logits: NDArray[np.float32]) -> Stage:
        """End when all is read."""
        is_over = self.context.n_past == self.n_to_read
        return Stage.ENDED if is_over else Stage.READING
