"""Proposes tokens for all texts together, before each pass of the model.

It says how each text goes on, token by token and greedily. Each token more takes a pass
of its own, much shorter than the model's, and a row of the model's: drafting goes on
while the tokens that it promises are worth that time, by measured times and by how
often the model agreed in each text.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from time import perf_counter
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import LlamacyError
from llamacy.generation.drafting.proposal_drafter import ProposalDrafter
from llamacy.generation.drafting.row_costs import RowCosts, lower_quartile
from llamacy.generation.drafting.worth import Worth

_logger = logging.getLogger("llamacy")

_LEAST_GAIN: Final = 1.05  # what promises less may as well be a loss
_LASTING: Final = 4096  # refusals, after which the times of passes are forgotten
_N_RECENT: Final = 7

DrafterT = TypeVar("DrafterT", bound=ProposalDrafter)


class Proposer(ABC, Generic[DrafterT]):
    """Proposes tokens; belongs to the thread that runs the passes.

    Parameters
    ----------
    name : str
        Its name in the log.
    n_vocab : int
        Logits of its passes.
    """

    def __init__(self, name: str, n_vocab: int) -> None:
        self._name = name
        self._asked: dict[DrafterT, int] = {}  # and for how many tokens
        self._seconds: deque[float] = deque(maxlen=_N_RECENT)  # of passes of few rows
        self._n_refused = 0
        self._has_failed = False
        self._logits = np.empty((0, n_vocab), np.float32)

    @abstractmethod
    def drafter(self, ids: Iterable[int]) -> DrafterT:
        """Return a drafter of a text: see `MakeDrafter`."""

    def ask(self, drafter: DrafterT, most: int) -> None:
        """Let `write` propose up to `most` tokens of a text."""
        self._asked[drafter] = most

    def write(self, n_texts: int, costs: RowCosts) -> None:
        """Make the proposals that were asked for, as far as they are worth the time.

        Parameters
        ----------
        n_texts : int
            Texts that the next pass of the model grows.
        costs : RowCosts
            The costs of such passes.
        """
        asked, self._asked = self._asked, {}
        if self._has_failed or costs.seconds is None:  # nothing to compare with yet
            return
        try:
            self._write(asked, n_texts, costs)
        except LlamacyError as error:  # such as a lack of memory: texts go on without
            self._has_failed = True
            self.clear()
            _logger.warning("the %s is not used any more: %s", self._name, error)

    def clear(self) -> None:
        """Give the memory of past texts back."""
        self._asked.clear()

    def close(self) -> None:
        """Let go of what it runs on; the thread that runs the passes has ended."""
        return

    @abstractmethod
    def _begin(self, drafters: Iterable[DrafterT]) -> dict[DrafterT, list[int]]:
        """Return the tokens that the first pass is to read of each text, if any."""

    @abstractmethod
    def _forward(
        self, rows: Mapping[DrafterT, list[int]], logits: NDArray[np.float32]
    ) -> None:
        """Read tokens of texts, and leave the logits after the last of each."""

    def _has_room(self, drafter: DrafterT) -> bool:
        """Whether it can read another token of a text."""
        return True

    def _write(
        self, asked: Mapping[DrafterT, int], n_texts: int, costs: RowCosts
    ) -> None:
        worth = Worth(n_texts, costs, self._pass_cost(costs), len(asked))
        rows = self._begin([one for one in asked if self._is_worth_reading(one, worth)])
        while rows:
            self._run(rows)
            worth.note_pass(rows, self._pass_cost(costs))
            rows = {
                one: one.tokens[-1:]
                for one in rows
                if len(one.tokens) < asked[one] and self._goes_on(one, worth)
            }

    def _pass_cost(self, costs: RowCosts) -> float:
        """Return the cost of a pass, in the unit of `costs`; 0 while it is unknown."""
        if not self._seconds or not costs.seconds:
            return 0.0
        return lower_quartile(self._seconds) / costs.seconds

    def _is_worth_reading(self, drafter: DrafterT, worth: Worth) -> bool:
        """Whether the first token promises more than it costs, or may again."""
        if not self._has_room(drafter):
            return False
        if worth.of_another(drafter) >= _LEAST_GAIN:
            return True
        self._n_refused += 1
        if self._n_refused % _LASTING == 0:
            self._seconds.clear()
        return worth.of_another(drafter, 1.0) >= _LEAST_GAIN and drafter.tries_again()

    def _goes_on(self, drafter: DrafterT, worth: Worth) -> bool:
        return self._has_room(drafter) and worth.of_another(drafter) >= 1

    def _run(self, rows: dict[DrafterT, list[int]]) -> None:
        """Run a pass, and let each text's proposal grow by a token."""
        if len(self._logits) < len(rows):
            self._logits = np.empty((len(rows), self._logits.shape[1]), np.float32)
        logits = self._logits[: len(rows)]
        started = perf_counter()
        self._forward(rows, logits)
        self._seconds.append(perf_counter() - started)
        for drafter, row in zip(rows, logits, strict=True):
            drafter.add(row)
