"""A pass that embeds a text, explained step by step."""

from __future__ import annotations

import numpy as np

from llamacy.arguments import checked_integer
from llamacy.ops.batch import TextBatch
from llamacy.ops.plan.embedding import EmbeddingPasses
from llamacy.ops.plan.explaining import (
    MAX_REPETITIONS,
    PassReport,
    median_times,
    pass_report,
)


def explain_text(
    passes: EmbeddingPasses,
    n_rows: int,
    n_past: int,
    *,
    repetitions: int,
    n_threads: int,
) -> PassReport:
    """Time passes that embed a text of random tokens, and describe each step.

    Raises
    ------
    ArgumentError
        One of the numbers is not possible: nothing comes before a text.
    """
    checked_integer("n_rows", n_rows, 1, passes.n_batch)
    checked_integer("n_past", n_past, 0, 0)
    checked_integer("repetitions", repetitions, 1, MAX_REPETITIONS)
    pooling = passes.config.embedding.pooling or "mean"
    tokens = np.random.default_rng(0).integers(passes.config.n_vocab, size=n_rows)
    texts = TextBatch.of([tokens.tolist()])
    compiled = passes.compiled_for(pooling, n_rows)
    times = median_times(
        lambda clock: passes.run(texts, pooling, clock),
        len(compiled.steps),
        repetitions,
    )
    n_wanted = n_rows if pooling == "none" else 1
    return pass_report(compiled, times, n_rows, 0, n_wanted, n_threads)
