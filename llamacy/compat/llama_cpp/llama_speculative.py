"""llama-cpp-python's draft models: `llama_cpp.llama_speculative`.

Drafts make generating faster and change no text. llamacy has no speculative decoding,
so that draft models are accepted and never asked.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray


class LlamaDraftModel(ABC):
    """Proposes the tokens that may follow a text."""

    @abstractmethod
    def __call__(
        self, input_ids: NDArray[np.intc], /, **kwargs: Any
    ) -> NDArray[np.intc]:
        """Return the ids of proposed tokens."""


class LlamaPromptLookupDecoding(LlamaDraftModel):
    """Accepted as `draft_model`, and proposes nothing.

    Parameters
    ----------
    max_ngram_size : int
        Makes no difference.
    num_pred_tokens : int
        Makes no difference.
    """

    def __init__(self, max_ngram_size: int = 2, num_pred_tokens: int = 10) -> None:
        self.max_ngram_size = max_ngram_size
        self.num_pred_tokens = num_pred_tokens

    def __call__(
        self, input_ids: NDArray[np.intc], /, **kwargs: Any
    ) -> NDArray[np.intc]:
        """Return no tokens."""
        return np.array([], np.intc)
