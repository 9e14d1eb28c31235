"""llama-cpp-python's draft models: `llama_cpp.llama_speculative`.

Drafts make generating faster and change no text. llamacy drafts by itself what a text
repeats, as `LlamaPromptLookupDecoding` does, and asks draft models of other classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.generation.drafting.hit_rates import HitRates
from llamacy.generation.drafting.lookup import Lookup
from llamacy.ops.state.sequence import SequenceState


class LlamaDraftModel(ABC):
    """Proposes the tokens that may follow a text."""

    @abstractmethod
    def __call__(
        self, input_ids: NDArray[np.intc], /, **kwargs: Any
    ) -> NDArray[np.intc]:
        """Return the ids of proposed tokens."""


class LlamaPromptLookupDecoding(LlamaDraftModel):
    """Proposes what followed where the text was the same before.

    As `draft_model` it asks for what llamacy does anyway, which decides itself how many
    tokens are worth it.

    Parameters
    ----------
    max_ngram_size : int
        Makes no difference.
    num_pred_tokens : int
        Most tokens that a call returns.
    """

    def __init__(self, max_ngram_size: int = 2, num_pred_tokens: int = 10) -> None:
        self.max_ngram_size = max_ngram_size
        self.num_pred_tokens = num_pred_tokens

    def __call__(
        self, input_ids: NDArray[np.intc], /, **kwargs: Any
    ) -> NDArray[np.intc]:
        """Return at most `num_pred_tokens` tokens; none after an empty text."""
        ids = np.asarray(input_ids).tolist()
        tokens = Lookup(ids).propose(self.num_pred_tokens) if ids else []
        return np.array(tokens, np.intc)


Ask: TypeAlias = "Callable[[NDArray[np.intc]], Iterable[Any]]"
"""The call of a draft model."""


def checked_draft_model(draft_model: object) -> Ask | None:
    """Return a draft model that is to be asked; None where llamacy drafts by itself.

    Raises
    ------
    ArgumentError
        It cannot be called.
    """
    if draft_model is None or isinstance(draft_model, LlamaPromptLookupDecoding):
        return None
    if not callable(draft_model):
        raise ArgumentError(
            f"draft_model: wanted a LlamaDraftModel, found {short(draft_model)}"
        )
    return draft_model


class AskingDrafter:
    """A drafter that asks a draft model: see `llamacy.generation.drafting.drafter`.

    Parameters
    ----------
    ids : iterable of int
        The tokens so far.
    ask : Ask
        The draft model.
    n_vocab : int
        Size of the vocabulary; a proposal ends at an id that is not in it.
    """

    def __init__(self, ids: Iterable[int], ask: Ask, n_vocab: int) -> None:
        self._ids = list(ids)
        self._ask = ask
        self._n_vocab = n_vocab
        self._rates = HitRates()
        self._proposed: list[int] = []

    def accept(self, token: int) -> None:
        """Add a token to the text."""
        if self._proposed:
            expected = self._proposed.pop(0)
            self._rates.note(1, False, token == expected)
            if token != expected:
                self._proposed.clear()
        self._ids.append(token)

    def replace(self, ids: Iterable[int]) -> None:
        """Go on after other tokens."""
        self._ids, self._proposed = list(ids), []

    def begin(self, most: int, sequence: SequenceState) -> None:
        """Ask for up to `most` tokens."""
        answer = self._ask(np.array(self._ids, np.intc))
        self._proposed = []
        for token in np.asarray(answer).ravel().tolist()[:most]:
            if not 0 <= token < self._n_vocab:
                break
            self._proposed.append(int(token))

    def chances(self) -> Sequence[float]:
        """Return how likely 1, 2 ... of the tokens are right."""
        (rate,) = self._rates.chances(1, False, 1)
        return [rate ** (n + 1) for n in range(len(self._proposed))]

    def propose(self, n: int) -> list[int]:
        """Return the first `n` tokens of the answer."""
        return self._proposed[:n]
