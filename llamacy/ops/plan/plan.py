"""The plan: an architecture's forward pass, recorded once and run in one call.

The architecture is called with a :class:`~llamacy.ops.plan.recorder.Recorder`, which
keeps its operations as a graph; :class:`~llamacy.ops.plan.lowering.Lowering` makes
them the steps of a program, fusing what belongs together:

- a norm also leaves its rows quantised, where quantised weights read them;
- the rotations of queries and keys go with the write into the KV cache;
- a linear layer adds into the residual it is added to;
- gate and up projections run side by side and leave their SwiGLU product.

A mixture of experts is several steps instead: see :mod:`llamacy.ops.plan.expert_steps`.

Steps wait for each other only where one reads what another wrote, so that the
projections to Q, K and V, for one, run as if they were one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.arguments import checked_choice
from llamacy.config import ModelConfig
from llamacy.errors import ArgumentError, ClosedError
from llamacy.kernels.forking import usable_threads
from llamacy.ops.adapters import AdaptedOps, LowRank
from llamacy.ops.batch import N_BATCH, Batch
from llamacy.ops.plan.cost import Cost, PassCost
from llamacy.ops.plan.lowering import Lowering
from llamacy.ops.plan.packed_weights import Weight, pack_floats, pack_weights
from llamacy.ops.plan.recorder import Node, Recorder
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.steps import KV_TYPES, MAX_RUN, PAGE
from llamacy.ops.state.pages import PagedSequence, PagePool
from llamacy.ops.state.windows import common_window
from llamacy.ops.vocabulary import Forward
from llamacy.system.forks import Rank, fork_lock

__all__ = ["Plan", "pack_weights"]


class Plan:
    """Runs an architecture's forward pass on packed weights.

    Parameters
    ----------
    forward : the architecture's forward pass.
    config : hyperparameters.
    weights : by name, as
        :func:`~llamacy.ops.plan.packed_weights.pack_weights` leaves them.
    n_threads : threads of a pass.
    kv_type : ``"f32"``, ``"f16"`` or ``"q8_0"``: the type of cached keys and values.
    n_batch : most rows of a pass.
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
    ) -> None:
        checked_choice("kv_type", kv_type, KV_TYPES)
        self.n_batch = n_batch
        self._config = config
        self._forward = forward
        self._weights: Mapping[str, Weight] = weights
        self._kv_type = kv_type
        self._lock = fork_lock(Rank.PLAN)
        self._n_threads = n_threads
        program, nodes = self._record({})
        self._program: Program | None = program
        self._cost = _cost(program, nodes)
        page_bytes = config.n_layer * program.layer_bytes
        self._pool = PagePool(PAGE, page_bytes, common_window(nodes))
        self._max_run = max(1, MAX_RUN // (config.n_head // config.n_head_kv))

    def new_sequence(self) -> PagedSequence:
        """Return an empty sequence."""
        return PagedSequence(self._pool)

    @property
    def n_vocab(self) -> int:
        """Logits of a row."""
        return self._config.n_vocab

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the weights, by name."""
        return {name: tuple(weight.shape) for name, weight in self._weights.items()}

    @property
    def page_bytes(self) -> int:
        """Memory of a page of `PAGE` tokens' keys and values."""
        return self._pool.page_bytes

    @property
    def n_pages_used(self) -> int:
        """Pages that sequences hold."""
        return self._pool.n_used

    def forward(
        self, batch: Batch, logits: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Run one forward pass; float32, (n_wanted, n_vocab), in `logits` if given.

        Raises
        ------
        ArgumentError : rows that cannot be run; nothing is changed then.
        OutOfMemoryError : no memory for the pages of the new tokens.
        """
        parts = self._check(batch)
        n_vocab, n_wanted = self._config.n_vocab, len(batch.wanted)
        if logits is None:
            logits = np.empty((n_wanted, n_vocab), np.float32)
        elif logits.shape != (n_wanted, n_vocab):
            raise ArgumentError(
                f"logits: wanted ({n_wanted}, {n_vocab}), found {logits.shape}"
            )
        with self._lock:
            if self._program is None:
                raise ClosedError("the model is closed")
            for first, n_rows, sequence in parts:
                if batch.positions[first] != sequence.n_past:
                    raise ArgumentError(
                        f"positions: wanted row {first} to continue its sequence at "
                        f"{sequence.n_past}, found {batch.positions[first]}"
                    )
                sequence.reserve(n_rows)
            runs, pages = self._cut_runs(batch, parts)
            self._program.run(
                batch.tokens, batch.positions, batch.wanted, runs, pages, logits,
                usable_threads(self._n_threads),
            )  # fmt: skip
            for _, n_rows, sequence in parts:
                sequence.advance(n_rows)
        return logits

    def cost(self, first: int, n_rows: int, n_wanted: int) -> Cost:
        """Count what a pass must read and compute: see PassCost."""
        return self._cost.of(first, n_rows, n_wanted)

    def set_adapters(
        self, adapters: Mapping[str, LowRank[NDArray[np.float32]]]
    ) -> None:
        """Compute with these adapters from now on, and no others.

        What sequences hold was computed with those of before.

        Parameters
        ----------
        adapters : by the names of the matrices, of shapes that fit them.

        Raises
        ------
        ArgumentError : the forward pass has no linear layer with one of the matrices.
        OutOfMemoryError : no memory for them; nothing is changed in either case.
        """
        with self._lock:
            if self._program is None:
                raise ClosedError("the model is closed")
            self._program, nodes = self._record(adapters)
            self._cost = _cost(self._program, nodes)

    def close(self) -> None:
        """Let weights, buffers and spare pages go."""
        with self._lock:
            self._program = None
            self._weights = {}
            self._pool.trim()

    def _record(
        self, adapters: Mapping[str, LowRank[NDArray[np.float32]]]
    ) -> tuple[Program, list[Node]]:
        """Make the program of a pass, and the graph it was made from."""
        config = self._config
        program = _program(config, self._n_threads, self._kv_type)
        recorder = Recorder()
        packed = {
            name: LowRank(pack_floats(low.down), pack_floats(low.up))
            for name, low in adapters.items()
        }
        ops = AdaptedOps(recorder, self._weights, packed)
        logits = self._forward(ops, config, self._weights)
        ops.check_all_used()
        # the array that a run fills is of this shape
        assert logits.of_wanted and logits.width == config.n_vocab
        Lowering(recorder.nodes, logits, program, self.n_batch).lower()
        return program, recorder.nodes

    def _check(self, batch: Batch) -> list[tuple[int, int, PagedSequence]]:
        """Parts of the batch that continue one sequence each: first row, rows."""
        n_rows = len(batch.tokens)
        if not 1 <= n_rows <= self.n_batch:
            raise ArgumentError(f"rows: wanted 1 to {self.n_batch}, found {n_rows}")
        for name in ("positions", "sequences"):
            if len(getattr(batch, name)) != n_rows:
                raise ArgumentError(
                    f"{name}: wanted {n_rows}, one for each token, "
                    f"found {len(getattr(batch, name))}"
                )
        _check_range("tokens", batch.tokens, self._config.n_vocab)
        _check_range("wanted", batch.wanted, n_rows)
        parts: list[tuple[int, int, PagedSequence]] = []
        first = 0
        for row in range(1, n_rows + 1):
            if row < n_rows and batch.sequences[row] is batch.sequences[first]:
                continue
            sequence = batch.sequences[first]
            if (
                not isinstance(sequence, PagedSequence)
                or sequence.pool is not self._pool
            ):
                raise ArgumentError("sequences: found one of another model")
            if any(sequence is other for _, _, other in parts):
                raise ArgumentError("sequences: rows of one must follow each other")
            parts.append((first, row - first, sequence))
            first = row
        expected = np.concatenate(
            [batch.positions[i] + np.arange(n, dtype=np.int32) for i, n, _ in parts]
        )
        if not np.array_equal(batch.positions, expected):
            raise ArgumentError("positions: rows of one sequence must be consecutive")
        return parts

    def _cut_runs(
        self, batch: Batch, parts: list[tuple[int, int, PagedSequence]]
    ) -> tuple[NDArray[np.int32], NDArray[np.uintp]]:
        """Cut rows into those attended together; find their page tables."""
        runs, pages = [], []
        for first, n_rows, sequence in parts:
            for row in range(first, first + n_rows, self._max_run):
                length = min(self._max_run, first + n_rows - row)
                runs.append((row, length, batch.positions[row]))
                pages.append(sequence.page_table)
        return np.asarray(runs, np.int32), np.asarray(pages, np.uintp)


def _cost(program: Program, nodes: list[Node]) -> PassCost:
    return PassCost(nodes, program.layer_bytes // PAGE)


def kv_page_bytes(config: ModelConfig, kv_type: str) -> int:
    """Memory that a page of `PAGE` tokens' keys and values takes, in any plan."""
    return config.n_layer * _program(config, 1, kv_type).layer_bytes


def _program(config: ModelConfig, n_threads: int, kv_type: str) -> Program:
    """Make a program without steps."""
    return Program(
        kernels.load(kernels.selected().name).table,
        n_threads,
        kv_type,
        config.n_head,
        config.n_head_kv,
        config.head_dim,
    )


def _check_range(name: str, values: NDArray[np.int32], limit: int) -> None:
    """Raise ArgumentError unless all values are in [0, limit)."""
    if len(values) and not (values.min() >= 0 and values.max() < limit):
        bad = values[(values < 0) | (values >= limit)][0]
        raise ArgumentError(f"{name}: wanted 0 to {limit - 1}, found {bad}")
