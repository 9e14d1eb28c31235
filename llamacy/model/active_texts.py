"""How many texts are generated together, unless the caller says.

A pass reads all weights, for however many texts: with a few more rows it takes hardly
longer, as long as it waits for memory. Beyond that, more texts do not lead to more
tokens per second: each comes more slowly, and all need memory. Where that begins
depends on how much faster the cores multiply than they read: threads share the memory's
speed, and each adds its own arithmetic.

In a mixture of experts, rows choose different ones. Each expert has few rows, though
the pass has many.
"""

from __future__ import annotations

from typing import Final

from llamacy.config import ModelConfig
from llamacy.generation.scheduler import N_ACTIVE

_MOST: Final = 64
_PER_THREAD: Final = 4
_MEMORY_SHARE: Final = 0.5  # of what is available


def choose_active(
    config: ModelConfig, n_threads: int, text_bytes: int, available: int | None
) -> int:
    """Return the most texts to generate together: 16 to 64.

    Parameters
    ----------
    config : ModelConfig
        The model's hyperparameters.
    n_threads : int
        Threads of a pass.
    text_bytes : int
        Most memory of a text of the usual length.
    available : int or None
        Memory that is available; None if nobody knows.
    """
    n_texts = max(N_ACTIVE, _PER_THREAD * n_threads)
    if config.experts is not None:
        n_texts = n_texts * config.experts.n_expert // config.experts.n_used
    n_texts = min(n_texts, _MOST)
    if available is not None:
        n_texts = min(n_texts, int(_MEMORY_SHARE * available) // max(1, text_bytes))
    return max(N_ACTIVE, n_texts)
