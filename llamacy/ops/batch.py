"""The input of one forward pass: rows of (token, position, sequence).

One sequence in decode, a prompt in prefill, many texts together: all are the same call
with other rows. A pass that embeds texts has all rows of each, and leaves nothing for
later passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.config import Pooling
from llamacy.errors import ArgumentError
from llamacy.ops.state.sequence import SequenceState

Wanted: TypeAlias = Literal["last", "all", "none"] | int
"""The rows whose logits are computed; a number means that many of the last."""

GoOn: TypeAlias = Callable[[], list[int] | None]
"""Called after a pass with one row of each text, which is wanted.

Returns the next token of each, of which another pass is to be run at once, or None. It
must not change the sequences of texts that go on.
"""

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
    types : int32, (n_rows,), or None
        Their token types; None for 0, that of the first of two texts.
    """

    tokens: NDArray[np.int32]
    positions: NDArray[np.int32]
    sequences: list[SequenceState]
    wanted: NDArray[np.int32]
    types: NDArray[np.int32] | None = None

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
            elif wanted != "none":
                n_last = 1 if wanted == "last" else wanted
                rows.extend(range(max(first, end - n_last), end))
        return cls(
            np.asarray(tokens, np.int32),
            np.asarray(positions, np.int32),
            sequences,
            np.asarray(rows, np.int32),
        )


@dataclass(frozen=True)
class TextBatch:
    """Texts to embed in one pass: their rows, one text after the other.

    Attributes
    ----------
    tokens : int32, (n_rows,)
        Token ids of all texts, those before and after each included.
    lengths : int32, (n_texts,)
        Tokens of each text, 1 or more.
    types : int32, (n_rows,), or None
        Token types, for models that tell the second of two texts from the first; None
        for 0 everywhere.
    """

    tokens: NDArray[np.int32]
    lengths: NDArray[np.int32]
    types: NDArray[np.int32] | None = None

    @classmethod
    def of(
        cls,
        texts: Iterable[Sequence[int]],
        types: Iterable[Sequence[int]] | None = None,
    ) -> TextBatch:
        """Make the rows of texts, given as ids, and as their types if there are any."""
        texts = list(texts)
        return cls(
            _joined(texts),
            np.array([len(text) for text in texts], np.int32),
            None if types is None else _joined(types),
        )

    @classmethod
    def join(cls, batches: Sequence[TextBatch]) -> TextBatch:
        """Put the texts of several batches, at least one, one after the other."""
        if len(batches) == 1:
            return batches[0]
        types = None
        if any(each.types is not None for each in batches):
            types = np.concatenate([each.types_or_zeros for each in batches])
        return cls(
            np.concatenate([each.tokens for each in batches]),
            np.concatenate([each.lengths for each in batches]),
            types,
        )

    @property
    def types_or_zeros(self) -> NDArray[np.int32]:
        """Token types, 0 where none were given: int32, (n_rows,)."""
        return np.zeros_like(self.tokens) if self.types is None else self.types

    def check(self, n_vocab: int, n_types: int) -> None:
        """Check the texts.

        Parameters
        ----------
        n_vocab : int
            Tokens of the vocabulary.
        n_types : int
            Token types that the model tells apart; 0 if it does not.

        Raises
        ------
        ArgumentError
            A text has no tokens, lengths do not add up to the rows, or a token or type
            is not one of the model's.
        """
        n_rows = len(self.tokens)
        if not len(self.lengths) or self.lengths.min() < 1:
            found = int(self.lengths.min()) if len(self.lengths) else "no text"
            raise ArgumentError(f"lengths: wanted 1 or more each, found {found}")
        if (total := int(self.lengths.sum(dtype=np.int64))) != n_rows:
            raise ArgumentError(f"lengths: wanted {n_rows} together, found {total}")
        check_range("tokens", self.tokens.tolist(), n_vocab)
        if self.types is None:
            return
        if len(self.types) != n_rows:
            wanted = f"{n_rows}, one for each token"
            raise ArgumentError(f"types: wanted {wanted}, found {len(self.types)}")
        check_range("types", self.types.tolist(), max(1, n_types))

    def rows(self, sequences: Sequence[SequenceState], pooling: Pooling) -> Batch:
        """Return the batch of one pass, of an empty sequence for each text.

        Parameters
        ----------
        sequences : sequence of SequenceState
            One for each text.
        pooling : Pooling
            Says which rows are wanted: the first of each text, the last, or all.
        """
        n_rows, ends = len(self.tokens), np.cumsum(self.lengths, dtype=np.int32)
        firsts = ends - self.lengths
        rows = np.arange(n_rows, dtype=np.int32)
        of_rows = np.repeat(np.arange(len(sequences)), self.lengths)
        wanted = {"none": rows, "cls": firsts}.get(pooling, ends - 1)
        return Batch(
            self.tokens,
            rows - np.repeat(firsts, self.lengths),
            [sequences[text] for text in of_rows.tolist()],
            wanted,
            self.types,
        )


def _joined(rows: Iterable[Sequence[int]]) -> NDArray[np.int32]:
    """Put numbers of several texts one after the other."""
    arrays = [np.asarray(each, np.int32) for each in rows]
    return np.concatenate(arrays) if arrays else np.empty(0, np.int32)


def check_range(name: str, values: Sequence[int], limit: int) -> None:
    """Raise ArgumentError unless all values are in [0, limit)."""
    if len(values) and not (min(values) >= 0 and max(values) < limit):
        bad = next(value for value in values if not 0 <= value < limit)
        raise ArgumentError(f"{name}: wanted 0 to {limit - 1}, found {bad}")


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
