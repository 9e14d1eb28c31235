"""A goal whose passes have drafted rows, some of which are given back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.goals.complete import Complete
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage


class Drafted(Complete):
    """Proposes the tokens of a known text, and keeps those that the model agrees to."""

    text: list[int]  # prompt included

    n_proposed = n_agreed = 0

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        rows = super().next_rows(n_rows, n_scored)
        n_tokens = len(self.context.ids)
        self._draft: list[int] = []
        if self.n_chosen and self.context.n_past == n_tokens - 1:
            room = min(n_rows - 1, self.context.n_ctx - n_tokens)
            self._draft = self.text[n_tokens : n_tokens + room]
            self.n_proposed += len(self._draft)
            rows = Rows([*rows.tokens, *self._draft], rows.sequence, "all")
        return rows

    def take(self, logits: NDArray[np.float32]) -> Stage:
        if not self._draft:
            return super().take(logits)
        n_before = self.context.n_past - len(logits)
        for n_used, row in enumerate(logits, 1):
            token = self.grow(row)
            if self.finish_reason is not None or self._draft[n_used - 1 : n_used] != [
                token
            ]:
                break
        self.n_agreed += n_used - 1
        self.context.truncate(n_before + n_used)
        return self.next_stage
