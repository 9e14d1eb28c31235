"""A smaller model that drafts the texts of a larger one.

Before a pass, it reads what is new in each text, and goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.drafting.model_drafter import ModelDrafter
from llamacy.generation.drafting.proposer import Proposer
from llamacy.generation.executor import Executor
from llamacy.generation.prefix_cache import PrefixCache
from llamacy.ops.batch import Batch, Wanted
from llamacy.ops.state.sequence import SequenceState

_MOST_TEXTS: Final = 16  # of a pass


class DraftModel(Proposer[ModelDrafter]):
    """Proposes what a smaller model says: see `Proposer`.

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
        super().__init__("draft model", executor.n_vocab)
        self._executor = executor
        self._n_vocab = min(n_vocab, executor.n_vocab)
        self._n_ctx = n_ctx
        self._cache = PrefixCache(cache_bytes)
        self._room = 0  # rows of prompts that may be read before the next pass

    def drafter(self, ids: Iterable[int]) -> ModelDrafter:
        """Return a drafter of a text: see `MakeDrafter`."""
        return ModelDrafter(ids, self)

    def clear(self) -> None:
        """Give the memory of past texts back."""
        super().clear()
        self._cache.clear()

    def close(self) -> None:
        """Let the model go; the thread that runs the passes has ended."""
        self._executor.close()

    def _has_room(self, drafter: ModelDrafter) -> bool:
        return len(drafter.ids) + len(drafter.tokens) < self._n_ctx

    def _begin(self, drafters: Iterable[ModelDrafter]) -> dict[ModelDrafter, list[int]]:
        self._room = self._executor.n_batch
        return {one: tokens for one in drafters if (tokens := self._read(one))}

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

    def _forward(
        self, rows: Mapping[ModelDrafter, list[int]], logits: NDArray[np.float32]
    ) -> None:
        parts: list[tuple[list[int], SequenceState, Wanted]] = []
        for drafter, tokens in rows.items():
            sequence = drafter.sequence
            assert sequence is not None
            if not drafter.tokens:  # to go back to if the text goes on otherwise
                sequence.mark([sequence.n_past + len(tokens)])
            parts.append((tokens, sequence, "last"))
        self._executor.forward(Batch.join(parts), logits)
        for drafter, tokens in rows.items():
            drafter.read(tokens)
        logits[:, self._n_vocab :] = -np.inf  # tokens that the larger model lacks
