"""The methods that generation needs of an executor."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.config import Pooling
from llamacy.ops.batch import Batch, GoOn, TextBatch
from llamacy.ops.rope import LongTexts
from llamacy.ops.state.sequence import SequenceState


class Executor(Protocol):
    """Runs forward passes, and makes the sequences that they continue."""

    @property
    def n_batch(self) -> int:
        """Most rows of one forward pass."""

    @property
    def n_vocab(self) -> int:
        """Logits of a row."""

    @property
    def text_bytes(self) -> int:
        """Bytes of a text's states of a fixed size; 0 if no layer has any."""

    @property
    def n_pages_used(self) -> int:
        """Pages of the KV cache that sequences hold."""

    @property
    def n_pages_free(self) -> int:
        """Pages that were given back and can be taken again."""

    @property
    def long_texts(self) -> LongTexts | None:
        """How long texts are rotated; None for a model that rotates all alike."""

    def close(self) -> None:
        """Let the weights go."""

    def new_sequence(self) -> SequenceState:
        """Return an empty sequence."""

    def forward(
        self,
        batch: Batch,
        logits: NDArray[np.float32] | None = None,
        go_on: GoOn | None = None,
    ) -> NDArray[np.float32]:
        """Run one forward pass, or several; the sequences grow by their rows.

        Parameters
        ----------
        batch : Batch
            The rows, at most `n_batch`.
        logits : float32, (n_wanted, n_vocab), optional
            Where to put the result.
        go_on : GoOn, optional
            Called after a pass, with its logits there, if another can follow at once.

        Returns
        -------
        float32, (n_wanted, n_vocab)
            Logits of the rows that are wanted, those of the last pass.
        """

    def embed(self, texts: TextBatch, pooling: Pooling) -> NDArray[np.float32]:
        """Embed texts, each of them whole, in one pass that leaves nothing behind.

        Parameters
        ----------
        texts : TextBatch
            The texts; their rows may be more than `n_batch`.
        pooling : Pooling
            How rows become embeddings.

        Returns
        -------
        float32, (n_texts, n_out)
            Embeddings, not divided by their norms; rows of all texts, (n_rows, n_out),
            without pooling.
        """
