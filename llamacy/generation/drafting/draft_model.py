"""A smaller model that drafts the texts of a larger one.

Before a pass, it reads what is new in each text and says how it goes on, token by token
and greedily, for all texts together. Each token more takes a pass of the smaller model
and a row of the larger one: drafting goes on while the tokens that it promises are
worth that time, by measured times and by how often the model was right in each text.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Collection, Iterable
from time import perf_counter
from typing import Final

import numpy as np

from llamacy.errors import LlamacyError
from llamacy.generation.drafting.model_drafter import ModelDrafter
from llamacy.generation.drafting.row_costs import RowCosts, lower_quartile
from llamacy.generation.executor import Executor
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.ops.batch import Batch, Wanted
from llamacy.ops.state.sequence import SequenceState

_logger = logging.getLogger("llamacy")

_LEAST_GAIN: Final = 1.05  # what promises less may as well be a loss
_LASTING: Final = 4096  # refusals, after which the times of passes are forgotten
_MOST_TEXTS: Final = 16  # of a pass
_N_RECENT: Final = 7


class DraftModel:
    """Drafts texts; belongs to the thread that runs the passes.

    Parameters
    ----------
    executor : Executor
        Runs the smaller model.
    n_vocab : int
        Tokens of the larger model's vocabulary.
    n_ctx : int
        Most tokens of a text that the smaller model can read.
    cache_bytes : int
        Most bytes that it keeps of prompts, for texts that begin alike.
    """

    def __init__(
        self, executor: Executor, n_vocab: int, n_ctx: int, cache_bytes: int
    ) -> None:
        self._executor = executor
        self._n_vocab = min(n_vocab, executor.n_vocab)
        self._n_ctx = n_ctx
        self._cache = PrefixCache(cache_bytes)
        self._asked: dict[ModelDrafter, int] = {}  # and for how many tokens
        self._seconds: deque[float] = deque(maxlen=_N_RECENT)  # of passes of few rows
        self._n_refused = 0
        self._room = 0  # rows of prompts that may be read before the next pass
        self._has_failed = False
        self._logits = np.empty((0, executor.n_vocab), np.float32)

    def drafter(self, ids: Iterable[int]) -> ModelDrafter:
        """Return a drafter of a text: see `MakeDrafter`."""
        return ModelDrafter(ids, self)

    def ask(self, drafter: ModelDrafter, most: int) -> None:
        """Let `write` draft up to `most` tokens of a text."""
        self._asked[drafter] = most

    def write(self, n_texts: int, costs: RowCosts) -> None:
        """Draft the texts that were asked for, as far as it is worth the time.

        Parameters
        ----------
        n_texts : int
            Texts that the next pass of the larger model grows.
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
            self._cache.clear()
            _logger.warning("the draft model is not used any more: %s", error)

    def clear(self) -> None:
        """Give the memory of past texts back."""
        self._asked.clear()
        self._cache.clear()

    def close(self) -> None:
        """Let the model go; the thread that runs the passes has ended."""
        self._executor.close()

    def _write(
        self, asked: dict[ModelDrafter, int], n_texts: int, costs: RowCosts
    ) -> None:
        worth = Worth(n_texts, costs, self._pass_cost(costs))
        worth.n_sharing = len(asked)
        self._room = self._executor.n_batch
        drafters = [one for one in asked if self._is_worth_reading(one, worth)]
        rows = {one: tokens for one in drafters if (tokens := self._read(one))}
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

    def _is_worth_reading(self, drafter: ModelDrafter, worth: Worth) -> bool:
        """Whether the first token promises more than it costs, or may again."""
        if len(drafter.ids) >= self._n_ctx:
            return False
        if worth.of_another(drafter) >= _LEAST_GAIN:
            return True
        self._n_refused += 1
        if self._n_refused % _LASTING == 0:
            self._seconds.clear()
        return worth.of_another(drafter, 1.0) >= _LEAST_GAIN and drafter.tries_again()

    def _goes_on(self, drafter: ModelDrafter, worth: Worth) -> bool:
        has_room = len(drafter.ids) + len(drafter.tokens) < self._n_ctx
        return has_room and worth.of_another(drafter) >= 1

    def _read(self, drafter: ModelDrafter) -> list[int]:
        """Read a text but for its last tokens, which are returned.

        Of a long text only a part is read at a time, and of several one after another,
        as they may begin alike; nothing is returned then, nor of a text with a token
        that the model does not know.
        """
        if drafter.sequence is None:
            if not self._room:
                return []
            drafter.start(self._sequence_for(drafter.ids))
        tokens = drafter.pending()
        if max(tokens) >= self._executor.n_vocab:
            return []
        if len(tokens) <= max(1, self._executor.n_batch // _MOST_TEXTS):
            return tokens
        is_last = len(tokens) <= self._room
        part = tokens[:-1] if is_last else tokens[: self._room]
        self._room -= len(part)
        self._read_part(drafter, part, is_last=is_last)
        return tokens[-1:] if is_last else []

    def _read_part(
        self, drafter: ModelDrafter, tokens: list[int], *, is_last: bool
    ) -> None:
        """Read a part of a text; after the last one, keep it for others like it."""
        sequence = drafter.sequence
        assert sequence is not None
        if tokens:
            self._executor.forward(Batch.of(tokens, sequence, "none"))
            drafter.read(tokens)
        if is_last:
            self._cache.put(drafter.ids[: sequence.n_past], sequence.fork())

    def _sequence_for(self, ids: list[int]) -> SequenceState:
        """Return a sequence that has read the beginning of a text, or nothing yet."""
        long_texts = self._executor.long_texts
        n_long = 0 if long_texts is None else long_texts.n_long(len(ids))
        found, n = self._cache.find(ids, n_most=len(ids) - 1, n_long=n_long)
        sequence = self._executor.new_sequence() if found is None else found.fork()
        if found is None:
            sequence.n_long = n_long
        else:
            sequence.truncate(n)
        return sequence

    def _run(self, rows: dict[ModelDrafter, list[int]]) -> None:
        """Run a pass, and let each text's proposal grow by a token."""
        parts: list[tuple[list[int], SequenceState, Wanted]] = []
        for drafter, tokens in rows.items():
            sequence = drafter.sequence
            assert sequence is not None
            if not drafter.tokens:  # to go back to if the text goes on otherwise
                sequence.mark([sequence.n_past + len(tokens)])
            parts.append((tokens, sequence, "last"))
        if len(self._logits) < len(parts):
            self._logits = np.empty((len(parts), self._executor.n_vocab), np.float32)
        started = perf_counter()
        logits = self._executor.forward(Batch.join(parts), self._logits[: len(parts)])
        self._seconds.append(perf_counter() - started)
        for (drafter, tokens), row in zip(rows.items(), logits, strict=True):
            drafter.read(tokens)
            drafter.add(row[: self._n_vocab])


class Worth:
    """Weighs a drafted token more against the time that it takes.

    Parameters
    ----------
    n_texts : int
        Texts that the next pass of the larger model grows.
    costs : RowCosts
        The costs of such passes.
    pass_cost : float
        The cost of a pass of the smaller model, in the same unit.

    Attributes
    ----------
    n_sharing : int
        Texts that the smaller model's next pass is of.
    """

    def __init__(self, n_texts: int, costs: RowCosts, pass_cost: float) -> None:
        self.n_sharing = 1
        self._n_tokens = float(n_texts)  # that the pass probably leads to
        self._cost = costs.of(n_texts)
        self._per_row = costs.per_row
        self._pass_cost = pass_cost

    def of_another(self, drafter: ModelDrafter, rate: float | None = None) -> float:
        """Return the gain of a token more in a text, as a multiple of its share.

        Above 1, more tokens a second are expected with it than without. `rate` is how
        often the model is right, by default as usual in the text.
        """
        gain = drafter.chance * (drafter.usual_rate if rate is None else rate)
        cost = self._per_row + self._pass_cost / self.n_sharing
        return gain / cost * self._cost / self._n_tokens if cost else math.inf

    def note_pass(self, drafters: Collection[ModelDrafter], cost: float) -> None:
        """Note a pass of the smaller model, which let proposals grow by a token."""
        self._pass_cost = cost
        self.n_sharing = len(drafters)
        self._n_tokens += sum(drafter.chance for drafter in drafters)
        self._cost += self._pass_cost + self._per_row * len(drafters)
