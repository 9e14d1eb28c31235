"""The logits after every token of a text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.engine import Engine
from llamacy.generation.gather import gather
from llamacy.generation.goals.logits import Logits
from llamacy.generation.request import Request


def prompt_logits(engine: Engine, ids: Sequence[int]) -> NDArray[np.float32]:
    """Return the logits after each of `ids`: float32, (n_tokens, n_vocab).

    Raises
    ------
    ContextLengthError
        More than `n_ctx` tokens.
    """
    context = engine.context(ids)
    result = np.empty((context.n_prompt, engine.n_vocab), np.float32)

    def receive(token: int, logits: NDArray[np.float32]) -> None:
        result[token : token + len(logits)] = logits

    gather(engine.worker, [Request(Logits(context, receive))])
    return result
