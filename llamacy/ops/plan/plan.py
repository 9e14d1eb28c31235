"""The plan: an architecture's forward pass, recorded once and run in one call.

The architecture is called with a `Recorder`, which keeps its operations as a graph.
`Lowering` turns them into a list of steps, and fuses some of them:

- a norm also leaves its rows quantised, where quantised weights read them;
- the rotations of queries and keys go with the write into the KV cache;
- a linear layer adds its result to the residual in place;
- gate and up projections run side by side and leave their SwiGLU product.

A mixture of experts is several steps instead: see `llamacy.ops.plan.expert_steps`.

Then `find_barriers` marks the steps that must wait for those before, `allocate` gives
them memory, and `Program` runs them. Steps wait only where one reads what another
wrote, so that the projections to Q, K and V, for example, run as if they were one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.arguments import checked_choice
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError, ClosedError
from llamacy.ggml.tensor import Tensor
from llamacy.kernels.forking import usable_threads
from llamacy.kernels.packing.matrices import MappedMatrix
from llamacy.ops.activation import halves
from llamacy.ops.adapters import AdaptedOps, LowRank, with_saved
from llamacy.ops.batch import N_BATCH, Batch, check_positions
from llamacy.ops.plan.barriers import find_barriers
from llamacy.ops.plan.buffers import allocate
from llamacy.ops.plan.cost import Cost, PassCost
from llamacy.ops.plan.explaining import PassReport, StepReport, time_pass
from llamacy.ops.plan.lowering import Lowering
from llamacy.ops.plan.observing import Observer
from llamacy.ops.plan.packed_weights import Weight, pack_floats, pack_weights
from llamacy.ops.plan.recorder import Node, Recorder
from llamacy.ops.plan.runs import (
    Part,
    cut_runs,
    cut_spans,
    cut_wanted,
    longest_run,
    split_parts,
)
from llamacy.ops.plan.runtime import Program, WantedRows
from llamacy.ops.plan.step import Step
from llamacy.ops.plan.unpacking import unpack_rows
from llamacy.ops.rope import LongTexts, dynamic_angles, long_texts
from llamacy.ops.state.kv_pages import KV_TYPES, PAGE
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.sequence import PagedSequence
from llamacy.ops.vocabulary import Forward
from llamacy.system.forks import Rank, fork_lock

__all__ = ["Plan", "pack_weights"]


class Plan:
    """Runs an architecture's forward pass on packed weights.

    Parameters
    ----------
    forward : callable
        The architecture's forward pass.
    config : ModelConfig
        Hyperparameters.
    weights : dict of Weight
        By name, as `pack_weights` leaves them.
    n_threads : int
        Threads of a pass.
    kv_type : str
        ``"f32"``, ``"f16"`` or ``"q8_0"``: the type of cached keys and values.
    n_batch : int
        Most rows of a pass.
    observer : Observer, optional
        Looks at the inputs of its matrices.

    Raises
    ------
    ArgumentError
        There is no such `kv_type`.
    OutOfMemoryError
        There is no memory for the buffers of a pass.
    """

    def __init__(
        self,
        forward: Forward,
        config: ModelConfig,
        weights: Mapping[str, Weight],
        *,
        n_threads: int,
        kv_type: str = "f16",
        n_batch: int = N_BATCH,
        observer: Observer | None = None,
    ) -> None:
        checked_choice("kv_type", kv_type, KV_TYPES)
        self.n_batch = n_batch
        self._config = config
        self._forward = forward
        self._weights: Mapping[str, Weight] = weights
        self._kv_type = kv_type
        self._long_texts = long_texts(config, weights)
        self._lock = fork_lock(Rank.PLAN)
        self._n_threads = n_threads
        self._observer = observer
        recorder, logits = self._record({}, {})
        self._layout = StateLayout(recorder.states, kv_type)
        self._program: Program | None = None
        self._plain: Program | None = None  # of rows before an adapter acts
        self._use(*self._lower(recorder, logits))
        self._pool = PagePool(
            PAGE,
            self._layout.page_bytes,
            self._layout.window,
            text_bytes=self._layout.text_bytes,
            n_snapshots=self._layout.n_snapshots,
        )

    def observed(self, names: Callable[[str], bool]) -> tuple[Plan, Observer]:
        """Return a plan of the same weights that looks at the inputs of matrices.

        It shares the weights' memory, has no adapters, and runs beside this one.

        Parameters
        ----------
        names : callable
            Whether to observe the matrix of a name.

        Raises
        ------
        OutOfMemoryError
            There is no memory for the buffers of a pass.
        ClosedError
            The model is closed.
        """
        with self._lock:
            self._open_program()
            weights = self._weights
        chosen = {name: each for name, each in weights.items() if names(name)}
        observer = Observer(chosen)
        plan = Plan(
            self._forward,
            self._config,
            weights,
            n_threads=self._n_threads,
            kv_type=self._kv_type,
            n_batch=self.n_batch,
            observer=observer,
        )
        return plan, observer

    def new_sequence(self) -> PagedSequence:
        """Return an empty sequence."""
        return PagedSequence(self._pool)

    @property
    def n_vocab(self) -> int:
        """Logits of a row."""
        return self._config.n_vocab

    @property
    def long_texts(self) -> LongTexts | None:
        """How long texts are rotated; None if as all others."""
        return self._long_texts

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights, by name."""
        return {name: tuple(weight.shape) for name, weight in self._weights.items()}

    def weight_rows(self, name: str, first: int, n_rows: int) -> NDArray[np.float32]:
        """Return rows of a matrix as passes compute with them: float32, (n_rows, n_in).

        Raises
        ------
        OutOfMemoryError
            There is no memory for them.
        ClosedError
            The model is closed.
        """
        with self._lock:
            self._open_program()
            weight, n_threads = self._weights[name], usable_threads(self._n_threads)
            return unpack_rows(weight, first, n_rows, self._level, n_threads)

    @property
    def weight_bytes(self) -> int:
        """Size of the weights in memory, in bytes."""
        return sum(
            weight.nbytes
            for weight in self._weights.values()
            if not isinstance(weight, MappedMatrix)
        )

    @property
    def mapped_bytes(self) -> int:
        """Size of the weights that stay in the file, in bytes."""
        return sum(
            weight.nbytes
            for weight in self._weights.values()
            if isinstance(weight, MappedMatrix)
        )

    @property
    def level(self) -> str:
        """The instruction-set level of its kernels."""
        return self._level

    @property
    def page_bytes(self) -> int:
        """Bytes of a page: the keys and values of `PAGE` tokens, in all layers."""
        return self._pool.page_bytes

    @property
    def text_bytes(self) -> int:
        """Bytes of a text's states of a fixed size; 0 if no layer has any."""
        return self._layout.text_bytes

    @property
    def most_text_bytes(self) -> int:
        """Most bytes that these and their snapshots take."""
        return self._layout.most_text_bytes

    @property
    def kv_bytes_used(self) -> int:
        """Bytes of the pages and of the states that sequences hold."""
        return self._pool.bytes_used

    @property
    def n_pages_used(self) -> int:
        """Pages that sequences hold."""
        return self._pool.n_used

    @property
    def n_pages_free(self) -> int:
        """Pages that sequences gave back and can take again."""
        return self._pool.n_spare

    def forward(
        self,
        batch: Batch,
        logits: NDArray[np.float32] | None = None,
        *,
        seconds: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """Run one forward pass.

        Parameters
        ----------
        batch : Batch
            At most `n_batch` rows.
        logits : float32, (n_wanted, n_vocab), or None
            Where the logits go; None makes a new array.
        seconds : float64, (n_steps,), or None
            Receives how long each step took; they then run one after another.

        Returns
        -------
        float32, (n_wanted, n_vocab)
            Logits of the batch's wanted rows.

        Raises
        ------
        ArgumentError
            These rows cannot be run; nothing is changed then.
        OutOfMemoryError
            There is no memory for the pages of the new tokens.
        ClosedError
            The model is closed.
        """
        parts = split_parts(batch, self._pool, self.n_batch, self.n_vocab)
        if self._n_positions is not None:
            check_positions(batch, self._n_positions)
        n_vocab, n_wanted = self._config.n_vocab, len(batch.wanted)
        if logits is None:
            logits = np.empty((n_wanted, n_vocab), np.float32)
        elif logits.shape != (n_wanted, n_vocab):
            raise ArgumentError(
                f"logits: wanted ({n_wanted}, {n_vocab}), found {logits.shape}"
            )
        with self._lock:
            program = self._open_program()
            for first, n_rows, sequence in parts:
                if batch.positions[first] != sequence.n_past:
                    raise ArgumentError(
                        f"positions: wanted row {first} to continue its sequence at "
                        f"{sequence.n_past}, found {batch.positions[first]}"
                    )
                sequence.reserve(n_rows)
            if self._plain is None or seconds is not None:
                self._run(program, batch, parts, logits, seconds)
                return logits
            for half in halves(batch):
                parts = split_parts(half.batch, self._pool, self.n_batch, n_vocab)
                part = np.empty((len(half.logits), n_vocab), np.float32)
                chosen = program if half.is_adapted else self._plain
                self._run(chosen, half.batch, parts, part)
                logits[half.logits] = part
        return logits

    def _run(
        self,
        program: Program,
        batch: Batch,
        parts: list[Part],
        logits: NDArray[np.float32],
        seconds: NDArray[np.float64] | None = None,
    ) -> None:
        """Run a program on rows whose sequences have the memory for them."""
        runs, pages = cut_runs(batch, parts, self._longest_run)
        is_long, angles = self._rotations(batch)
        of_wanted = None
        if program.needs_wanted:
            wanted = batch.wanted
            of_wanted = WantedRows(
                batch.positions[wanted],
                *cut_wanted(batch, parts, self._longest_run),
                None if is_long is None else is_long[wanted],
                None if angles is None else angles[wanted],
            )
        try:
            program.run(
                batch.tokens, batch.positions, batch.wanted, runs, pages, logits,
                usable_threads(self._n_threads), seconds, is_long, angles, of_wanted,
                *cut_spans(parts),
            )  # fmt: skip
            for _, n_rows, sequence in parts:
                sequence.advance(n_rows)
        except BaseException:  # Ctrl-C may have come after the pass
            for _, _, sequence in parts:
                sequence.abandon()
            raise

    def cost(self, first: int, n_rows: int, n_wanted: int) -> Cost:
        """Count what a pass must read and compute: see `PassCost`."""
        return self._cost.of(first, n_rows, n_wanted)

    def explain(
        self,
        n_rows: int,
        *,
        n_past: int = 0,
        n_wanted: int = 1,
        repetitions: int = 5,
    ) -> PassReport:
        """Run passes of that many rows, and tell what each of their steps takes.

        Parameters
        ----------
        n_rows : int
            Rows of a pass, of one sequence; 1 to `n_batch`.
        n_past : int
            Tokens that the sequence has before.
        n_wanted : int
            Of how many of the last rows the logits are wanted; 0 to `n_rows`.
        repetitions : int
            Passes that are timed, 1 or more; times are medians.

        Raises
        ------
        ArgumentError
            One of the numbers is not possible.
        """
        with self._lock:
            program, steps = self._open_program(), self._steps
        times = time_pass(
            self, len(steps), n_rows, n_past, n_wanted, repetitions=repetitions
        )
        chosen = [program.kernel_of(i, n_rows, n_wanted) for i in range(len(steps))]
        return PassReport(
            level=self._level,
            n_threads=usable_threads(self._n_threads),
            n_rows=n_rows,
            n_past=n_past,
            n_wanted=n_wanted,
            steps=tuple(
                StepReport.of(step, kernel, n_past, n_rows, n_wanted, seconds)
                for step, kernel, seconds in zip(
                    steps, chosen, times.of_steps, strict=True
                )
            ),
            seconds=times.of_pass,
        )

    def set_adapters(
        self,
        adapters: Mapping[str, LowRank[NDArray[np.float32]]],
        saved: Mapping[str, Tensor] | None = None,
        *,
        is_activated: bool = False,
    ) -> None:
        """Compute with these adapters from now on, and no others.

        Sequences keep the keys and values that were computed with the adapters before.

        Parameters
        ----------
        adapters : dict of LowRank
            By the names of the matrices, of shapes that fit them.
        saved : dict of Tensor, optional
            Tensors that take the place of the model's, by name and of their shapes.
        is_activated : bool, default False
            Whether they act on each sequence's rows from its `adapted_from` on, and not
            on those before. A second program, with buffers of its own, computes these.

        Raises
        ------
        ArgumentError
            The forward pass has no linear layer with one of the matrices.
        OutOfMemoryError
            There is no memory for them; nothing is changed in either case.
        """
        with self._lock:
            self._open_program()
            lowered = self._lower(*self._record(adapters, saved or {}))
            plain = self._lower(*self._record({}, {}))[0] if is_activated else None
            self._use(*lowered)
            self._plain = plain

    def close(self) -> None:
        """Let weights, buffers and spare pages go."""
        with self._lock:
            self._program = self._plain = None
            # their constants are the weights
            self._steps, self._cost = [], PassCost([])
            self._weights = {}
            self._pool.trim()

    def _open_program(self) -> Program:
        if self._program is None:
            raise ClosedError("the model is closed")
        return self._program

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

    def _record(
        self,
        adapters: Mapping[str, LowRank[NDArray[np.float32]]],
        saved: Mapping[str, Tensor],
    ) -> tuple[Recorder, Node]:
        """Record a pass: all operations, and the one whose value are the logits."""
        recorder = Recorder()
        weights = self._weights
        if saved:
            weights = with_saved(weights, pack_weights(saved))
        packed = {
            # a vector takes its adapter in, which is done once
            name: low if isinstance(weights.get(name), np.ndarray) else _packed(low)
            for name, low in adapters.items()
        }
        ops = AdaptedOps(recorder, weights, packed)
        logits = self._forward(ops, self._config, weights)
        ops.check_all_used()
        # the array that a run fills is of this shape
        assert logits.of_wanted and logits.width == self._config.n_vocab
        return recorder, logits

    def _lower(self, recorder: Recorder, logits: Node) -> tuple[Program, list[Step]]:
        """Make the program of the recorded pass; return its steps as well."""
        self._level = kernels.selected().name
        program = Program(kernels.load(self._level).table, self._n_threads)
        steps = Lowering(
            recorder.nodes,
            logits,
            program,
            self._layout,
            self.n_batch,
            self._observer,
        ).lower()
        for step, waits in zip(allocate(steps), find_barriers(steps), strict=True):
            program.add(step, waits=waits)
        return program, steps

    def _use(self, program: Program, steps: list[Step]) -> None:
        """Run this program in passes from now on."""
        self._program, self._steps, self._cost = program, steps, PassCost(steps)
        self._longest_run = longest_run(steps)
        learned = [each for each in steps if each.op == "position_embedding"]
        sizes = [each.constants["weight"].shape[0] for each in learned]
        self._n_positions = min(sizes, default=None)


def _packed(low: LowRank[NDArray[np.float32]]) -> LowRank[Any]:
    """Pack an adapter's matrices, or those of experts."""
    gain = None if low.gain is None else np.ascontiguousarray(low.gain, np.float32)
    return LowRank(pack_floats(low.down), pack_floats(low.up), gain)
