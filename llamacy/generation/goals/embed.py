"""The goal of a request for the embeddings of texts, or for a classifier's scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.config import Pooling
from llamacy.generation.context import Context
from llamacy.generation.goals.goal import Goal
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage
from llamacy.ops.batch import TextBatch


class Embed(Goal):
    """Embed texts that are read whole, in one pass: see `EmbeddingQueue`.

    Parameters
    ----------
    texts : TextBatch
        The texts, which were checked.
    pooling : Pooling
        How rows become embeddings.

    Attributes
    ----------
    rows : float32, (n, n_out), or None
        The result as `Executor.embed` gives it; None until it is there, and if the
        request was cancelled.
    """

    def __init__(self, texts: TextBatch, pooling: Pooling) -> None:
        tokens = texts.tokens.tolist()
        super().__init__(Context(tokens, len(tokens)))
        self.texts = texts
        self.pooling = pooling
        self.rows: NDArray[np.float32] | None = None

    @property
    def n_shareable(self) -> int:
        """None: no pass leaves anything that another text could go on with."""
        return 0

    @property
    def n_to_read(self) -> int:
        """All tokens."""
        return self.context.n_prompt

    @property
    def n_results(self) -> int:
        """Rows of the result."""
        texts = self.texts
        return len(texts.tokens if self.pooling == "none" else texts.lengths)

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        """Refuse: the texts are not read by passes that lead to logits."""
        raise AssertionError("embeddings have passes of their own")

    def take(self, rows: NDArray[np.float32]) -> Stage:
        """Keep the result."""
        self.rows = rows
        return Stage.ENDED
