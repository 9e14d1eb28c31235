"""The order of documents by their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from llamacy.results import Usage

Activation: TypeAlias = Literal["sigmoid", "identity"]
"""The function that makes a score of a classifier's number."""


class Ranked(NamedTuple):
    """A document's place in a ranking.

    Attributes
    ----------
    index : int
        Index of the document among those of the call.
    score : float
        Its score.
    """

    index: int  # type: ignore[assignment]  # in the place of the method of tuples
    score: float


@dataclass(frozen=True, eq=False, slots=True)
class Ranking(Sequence[Ranked]):
    """Documents in the order in which they answer a query, the best first.

    It is a sequence of them, as `Ranked`: index and score.

    Attributes
    ----------
    scores : float32, (n_documents,)
        Score of each document, in the order in which they were given.
    order : list of int
        Indices of the best documents, as many as were asked for.
    token_counts : tuple of int
        Tokens that were read for each document, those of the query included.
    cut_counts : tuple of int
        Tokens that were cut off with ``truncate=True``.
    """

    scores: NDArray[np.float32]
    order: list[int]
    token_counts: tuple[int, ...]
    cut_counts: tuple[int, ...]

    @property
    def usage(self) -> Usage:
        """Tokens of all documents together."""
        return Usage(sum(self.token_counts), 0)

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, place: int) -> Ranked: ...

    @overload
    def __getitem__(self, place: slice) -> list[Ranked]: ...

    def __getitem__(self, place: int | slice) -> Ranked | list[Ranked]:
        found = self.order[place]
        if isinstance(found, list):
            return [self._ranked(index) for index in found]
        return self._ranked(found)

    def _ranked(self, index: int) -> Ranked:
        return Ranked(index, float(self.scores[index]))


def ranking_of(
    numbers: NDArray[np.float32],
    activation: Activation,
    top_n: int | None,
    token_counts: tuple[int, ...],
    cut_counts: tuple[int, ...],
) -> Ranking:
    """Rank documents by their numbers; those of equal ones stay in their order."""
    scores = numbers if activation == "identity" else _sigmoid(numbers)
    order = np.argsort(-numbers.astype(np.float64), kind="stable")
    return Ranking(scores, order.tolist()[:top_n], token_counts, cut_counts)


def _sigmoid(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-numbers.astype(np.float64)))).astype(np.float32)
