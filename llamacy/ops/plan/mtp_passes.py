"""Passes of a model's MTP head over guessed tokens: a row for each text.

The model's own passes let the head keep up with each text. A lookahead goes on from
there, and leaves the text as it is: see `llamacy.ops.state.lookahead`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from llamacy.config import ModelConfig
from llamacy.ops.batch import Batch
from llamacy.ops.plan.compiling import compile_pass, record_pass
from llamacy.ops.plan.packed_weights import Weight
from llamacy.ops.plan.running import BatchRunner
from llamacy.ops.plan.runs import Part
from llamacy.ops.rope import LongTexts
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.lookahead import Lookahead
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import BlockPool, PagePool
from llamacy.ops.state.sequence import SequenceState
from llamacy.ops.vocabulary import Forward

MOST_TEXTS: Final = 16
"""Most rows of a pass, each of another text."""


class MtpPasses:
    """The passes of one model's head; not for several threads at once.

    Parameters
    ----------
    draft : callable
        The architecture's pass of the head.
    config : ModelConfig
        Hyperparameters.
    weights : dict of Weight
        By name, as `pack_weights` leaves them.
    layout : StateLayout
        Where the model's states are, the head's among them.
    pool : PagePool
        The pool of all sequences.
    long_texts : LongTexts or None
        How long texts are rotated; None if as all others.
    n_threads : int
        Threads of a pass.

    Attributes
    ----------
    compiled : CompiledPass
        A pass of the head.

    Raises
    ------
    OutOfMemoryError
        There is no memory for the buffers of a pass.
    """

    def __init__(
        self,
        draft: Forward,
        config: ModelConfig,
        weights: Mapping[str, Weight],
        layout: StateLayout,
        pool: PagePool,
        long_texts: LongTexts | None,
        n_threads: int,
    ) -> None:
        recorded = record_pass(draft, config, weights)
        own = layout.beside(recorded.states)
        self.compiled = compile_pass(
            recorded, own, n_threads=n_threads, n_batch=MOST_TEXTS
        )
        self._kept = [
            (layout.slot(spec).offset, own.slot(spec).offset, spec.text_bytes)
            for spec in own.specs
            if spec.text_bytes
        ]
        self._blocks = BlockPool(own.text_bytes, "states of lookaheads", pool.lock)
        self._runner = BatchRunner(
            config, long_texts, pool, n_threads=n_threads, n_batch=MOST_TEXTS
        )

    def look_ahead(self, sequence: PagedSequence) -> Lookahead:
        """Return a lookahead after a text, to be closed.

        Raises
        ------
        ClosedError
            The sequence is closed.
        OutOfMemoryError
            There is no memory for its states.
        """
        return sequence.look_ahead(self._blocks, self._kept)

    def run(
        self,
        tokens: Sequence[int],
        aheads: Sequence[Lookahead],
        logits: NDArray[np.float32] | None,
        seconds: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """Read a token more with each lookahead: see `Plan.draft`."""
        # a batch asks no more of a sequence than lookaheads have
        sequences = cast("list[SequenceState]", aheads)
        rows = zip(tokens, sequences, strict=True)
        batch = Batch.join(([token], ahead, "last") for token, ahead in rows)
        parts = [Part(row, 1, ahead) for row, ahead in enumerate(aheads)]
        logits = self._runner.logits_for(batch, logits)
        self._runner.reserve(self.compiled, batch, parts)
        self._runner.run(self.compiled, batch, parts, logits, seconds)
        return logits
