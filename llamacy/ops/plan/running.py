"""A batch run on a compiled pass: its rows are checked, given memory, and counted.

Where an adapter acts on the end of texts alone, the rows before it run on a pass of
their own: see `llamacy.ops.activation`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError
from llamacy.kernels.forking import usable_threads
from llamacy.ops.activation import halves
from llamacy.ops.batch import Batch, GoOn, check_positions, check_range
from llamacy.ops.plan.compiling import CompiledPass
from llamacy.ops.plan.runs import Part, cut_runs, cut_spans, cut_wanted, split_parts
from llamacy.ops.plan.runtime import WantedRows
from llamacy.ops.rope import LongTexts, dynamic_angles
from llamacy.ops.state.pages import PagePool


class BatchRunner:
    """Runs batches of one model's sequences.

    Parameters
    ----------
    config : ModelConfig
        Hyperparameters.
    long_texts : LongTexts or None
        How long texts are rotated; None if as all others.
    pool : PagePool
        The pool of all sequences.
    n_threads : int
        Threads of a pass.
    n_batch : int
        Most rows of a pass.
    """

    def __init__(
        self,
        config: ModelConfig,
        long_texts: LongTexts | None,
        pool: PagePool,
        *,
        n_threads: int,
        n_batch: int,
    ) -> None:
        self._config = config
        self._long_texts = long_texts
        self._pool = pool
        self._n_threads = n_threads
        self._n_batch = n_batch

    def split(self, batch: Batch) -> list[Part]:
        """Split a batch by its sequences.

        Raises
        ------
        ArgumentError
            It does not fit the model, or rows of a sequence are not together.
        """
        return split_parts(batch, self._pool, self._n_batch, self._config.n_vocab)

    def logits_for(
        self, batch: Batch, logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Return the array that a batch's logits go to: the one given, or a new one.

        Raises
        ------
        ArgumentError
            The one given has another shape.
        """
        shape = len(batch.wanted), self._config.n_vocab
        if logits is None:
            return np.empty(shape, np.float32)
        if logits.shape != shape:
            raise ArgumentError(f"logits: wanted {shape}, found {logits.shape}")
        return logits

    def reserve(self, compiled: CompiledPass, batch: Batch, parts: list[Part]) -> None:
        """Give each sequence the memory for its rows, unless they cannot be run.

        Raises
        ------
        ArgumentError
            Rows do not continue their sequence, or are beyond learned positions.
        OutOfMemoryError
            There is no memory for the pages of the new tokens.
        """
        if compiled.n_positions is not None:
            check_positions(batch, compiled.n_positions)
        for first, n_rows, sequence in parts:
            if batch.positions[first] != sequence.n_past:
                raise ArgumentError(
                    f"positions: wanted row {first} to continue its sequence at "
                    f"{sequence.n_past}, found {batch.positions[first]}"
                )
            sequence.reserve(n_rows)

    def run(
        self,
        compiled: CompiledPass,
        batch: Batch,
        parts: list[Part],
        logits: NDArray[np.float32],
        seconds: NDArray[np.float64] | None = None,
        go_on: GoOn | None = None,
    ) -> None:
        """Run rows whose sequences have the memory for them, and count them there.

        Parameters
        ----------
        compiled : CompiledPass
            The pass.
        batch : Batch
            The rows, all those of `parts`.
        parts : list of Part
            Its rows by sequence.
        logits : float32, (n_wanted, n_vocab)
            Receives the logits.
        seconds : float64, (n_steps,), or None
            Receives how long each step took.
        go_on : GoOn or None
            Called after each pass that another can follow without new pages.
        """
        program = compiled.program
        runs, pages = cut_runs(batch, parts, compiled.longest_run)
        is_long, angles = self._rotations(batch)
        types = batch.types
        if types is None and program.needs_types:
            types = np.zeros_like(batch.tokens)
        spans = states = None
        if self._pool.states is not None:
            spans, states = cut_spans(parts)
        of_wanted = None
        if program.needs_wanted:
            of_wanted = _wanted_rows(
                batch, cut_wanted(batch, parts, compiled.longest_run), is_long, angles
            )
        is_single = len(parts) == len(batch.wanted) == len(batch.positions)
        if not is_single or spans is not None or angles is not None:
            go_on = None

        def after_pass() -> list[int] | None:
            for _, n_rows, sequence in parts:
                sequence.advance(n_rows)
            if go_on is None or any(part.sequence.needs_page for part in parts):
                return None
            return self._next_tokens(go_on, parts)

        try:
            program.run(
                batch.tokens, batch.positions, batch.wanted, runs, pages, logits,
                usable_threads(self._n_threads), seconds, is_long, angles, of_wanted,
                spans, states, types, after_pass,
            )  # fmt: skip
        except BaseException:  # Ctrl-C may have come after the pass
            for _, _, sequence in parts:
                sequence.abandon()
            raise

    def _next_tokens(self, go_on: GoOn, parts: list[Part]) -> list[int] | None:
        """Return the tokens of a pass that follows, checked as a batch is."""
        lengths = [part.sequence.n_past for part in parts]
        tokens = go_on()
        if tokens is None:
            return None
        check_range("tokens", tokens, self._config.n_vocab)
        for part, length in zip(parts, lengths, strict=True):
            if part.sequence.n_past != length:
                raise ArgumentError(
                    f"go_on: wanted a sequence still of {length} tokens, "
                    f"found {part.sequence.n_past}"
                )
        return tokens

    def run_halves(
        self,
        adapted: CompiledPass,
        plain: CompiledPass,
        batch: Batch,
        logits: NDArray[np.float32],
    ) -> None:
        """Run the rows before an adapter acts on `plain`, then the others."""
        for half in halves(batch):
            part = np.empty((len(half.logits), self._config.n_vocab), np.float32)
            chosen = adapted if half.is_adapted else plain
            self.run(chosen, half.batch, self.split(half.batch), part)
            logits[half.logits] = part

    def _rotations(
        self, batch: Batch
    ) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None]:
        """Return what rotations of rows depend on, beside their positions.

        Whether each is of a long text, and angles of its own; None for models in which
        that makes no difference.
        """
        if self._long_texts is None:
            return None, None
        n_long = np.array([each.n_long for each in batch.sequences], np.int32)
        if not self._long_texts.is_dynamic:
            return (n_long != 0).astype(np.uint8), None
        return None, dynamic_angles(self._config.rope, batch.positions, n_long)


def _wanted_rows(
    batch: Batch,
    cut: tuple[NDArray[np.int32], NDArray[np.uintp]],
    is_long: NDArray[np.uint8] | None,
    angles: NDArray[np.float32] | None,
) -> WantedRows:
    """Return the wanted rows of a batch, cut into runs, and what rotates them."""
    wanted = batch.wanted
    return WantedRows(
        batch.positions[wanted],
        *cut,
        None if is_long is None else is_long[wanted],
        None if angles is None else angles[wanted],
    )
