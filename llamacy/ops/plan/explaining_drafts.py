"""A pass of a model's MTP head, explained step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX, checked_integer
from llamacy.ops.plan.compiling import CompiledPass
from llamacy.ops.plan.explaining import (
    MAX_REPETITIONS,
    Clock,
    PassReport,
    TimedExecutor,
    median_times,
    pass_report,
    random_text,
)
from llamacy.ops.state.lookahead import Lookahead
from llamacy.ops.state.sequence import SequenceState


class TimedDrafts(TimedExecutor, Protocol):
    """Runs passes of a model, and of its head."""

    def look_ahead(self, sequence: SequenceState) -> Lookahead:
        """Return a lookahead after a sequence, to be closed."""

    def draft(
        self,
        tokens: Sequence[int],
        aheads: Sequence[Lookahead],
        logits: NDArray[np.float32] | None = None,
        *,
        seconds: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """Read a token more with the head; `seconds` receives each step's time."""


def explain_draft(
    plan: TimedDrafts,
    compiled: CompiledPass,
    n_past: int,
    *,
    repetitions: int,
    n_threads: int,
) -> PassReport:
    """Time passes of the head over a random text's last token, and describe each step.

    Raises
    ------
    ArgumentError
        One of the numbers is not possible.
    """
    checked_integer("n_past", n_past, 1, MAX_CTX - 1)
    checked_integer("repetitions", repetitions, 1, MAX_REPETITIONS)
    logits = np.empty((1, plan.n_vocab), np.float32)
    with random_text(plan, n_past, 1) as (sequence, tokens):

        def run(clock: Clock | None) -> None:
            ahead = plan.look_ahead(sequence)
            try:
                plan.draft(tokens, [ahead], logits, seconds=clock)
            finally:
                ahead.close()

        times = median_times(run, len(compiled.steps), repetitions)
    return pass_report(compiled, times, 1, n_past, 1, n_threads)
