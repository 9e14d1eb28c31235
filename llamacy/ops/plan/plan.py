"""The plan: the fast executor, which compiles a forward pass once and then runs it.

`Plan` holds a model's weights, the memory of its sequences, and the compiled pass;
callers' threads take turns. How a pass is compiled is in `llamacy.ops.plan.compiling`,
how batches run on it in `llamacy.ops.plan.running`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.arguments import checked_choice
from llamacy.config import ModelConfig, Pooling
from llamacy.errors import ArgumentError, ClosedError
from llamacy.ggml.tensor import Tensor
from llamacy.kernels.forking import usable_threads
from llamacy.ops.adapters import LowRank
from llamacy.ops.batch import N_BATCH, Batch, GoOn, TextBatch
from llamacy.ops.plan.compiling import (
    CompiledPass,
    RecordedPass,
    compile_pass,
    layout_of,
    record_pass,
)
from llamacy.ops.plan.cost import Cost
from llamacy.ops.plan.drafting_plan import DraftingPlan
from llamacy.ops.plan.embedding import EmbeddingPasses
from llamacy.ops.plan.explaining import PassReport, explain_pass
from llamacy.ops.plan.explaining_texts import explain_text
from llamacy.ops.plan.held_memory import HeldMemory
from llamacy.ops.plan.mtp_passes import MtpPasses
from llamacy.ops.plan.observing import Observer
from llamacy.ops.plan.packed_weights import Weight
from llamacy.ops.plan.running import BatchRunner
from llamacy.ops.plan.unpacking import unpack_rows
from llamacy.ops.rope import LongTexts, long_texts
from llamacy.ops.state.kv_pages import KV_TYPES, PAGE
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.page_numbers import PageNumbers
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import PagePool
from llamacy.ops.vocabulary import Embed, Forward
from llamacy.system.forks import Rank, fork_lock


class Plan(HeldMemory, DraftingPlan):
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
    embed : callable, optional
        The architecture's embedding pass.
    draft : callable, optional
        The architecture's pass of the MTP head that the model has.

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
        embed: Embed | None = None,
        draft: Forward | None = None,
    ) -> None:
        checked_choice("kv_type", kv_type, KV_TYPES)
        self._lock = fork_lock(Rank.PLAN)
        self.n_batch = n_batch
        self._config = config
        self._forward = forward
        self._weights: Mapping[str, Weight] = weights
        self._kv_type = kv_type
        self._long_texts = long_texts(config, weights)
        self._n_threads = n_threads
        self._observer = observer
        self._compiled: CompiledPass | None = None  # of an encoder, too
        self._plain: CompiledPass | None = None  # of rows before an adapter acts
        self._level = kernels.selected().name
        self._layout = StateLayout((), kv_type)
        self._is_closed = False
        if config.is_causal:
            recorded = record_pass(forward, config, weights)
            self._layout = layout_of(recorded, kv_type)
            self._compiled = self._compile(recorded)
            self._level = self._compiled.level
        self._embed = embed
        self._embeddings: EmbeddingPasses | None = None
        if embed is not None:
            self._embeddings = EmbeddingPasses(
                embed, config, weights, n_threads, n_batch
            )
        self._pool = PagePool(
            PAGE,
            self._layout.page_bytes,
            self._layout.window,
            text_bytes=self._layout.text_bytes,
            n_snapshots=self._layout.n_snapshots,
            numbers=PageNumbers(self._layout),
        )
        self._runner = BatchRunner(
            config, self._long_texts, self._pool, n_threads=n_threads, n_batch=n_batch
        )
        self._mtp: MtpPasses | None = None
        if draft is not None:
            self._mtp = MtpPasses(
                *(draft, config, weights, self._layout, self._pool),
                *(self._long_texts, n_threads),
            )

    def observed(self, names: Callable[[str], bool]) -> tuple[Plan, Observer]:
        """Return a plan of the same weights that looks at the inputs of matrices.

        It shares the weights' memory, has no adapters and no MTP head, and runs beside
        this one.

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
            self._open_pass()
            weights = self._weights
        chosen = {name: each for name, each in weights.items() if names(name)}
        observer = Observer(chosen)
        plan = Plan(
            self._forward,
            replace(self._config, has_mtp=False),
            weights,
            n_threads=self._n_threads,
            kv_type=self._kv_type,
            n_batch=self.n_batch,
            observer=observer,
            embed=self._embed,
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
    def has_logits(self) -> bool:
        """Whether it has passes whose results are logits: an encoder has none."""
        return self._config.is_causal

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
            self._check_open()
            weight, n_threads = self._weights[name], usable_threads(self._n_threads)
            return unpack_rows(weight, first, n_rows, self._level, n_threads)

    @property
    def level(self) -> str:
        """The instruction-set level of its kernels."""
        return self._level

    def forward(
        self,
        batch: Batch,
        logits: NDArray[np.float32] | None = None,
        go_on: GoOn | None = None,
        *,
        seconds: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """Run one forward pass, and those that follow it at once.

        Parameters
        ----------
        batch : Batch
            At most `n_batch` rows.
        logits : float32, (n_wanted, n_vocab), or None
            Where the logits go; None makes a new array.
        go_on : GoOn or None
            Called after each pass that another can follow without new pages.
        seconds : float64, (n_steps,), or None
            Receives how long each step took; they then run one after another.

        Returns
        -------
        float32, (n_wanted, n_vocab)
            Logits of the batch's wanted rows, those of the last pass.

        Raises
        ------
        ArgumentError
            These rows cannot be run; nothing is changed then.
        OutOfMemoryError
            There is no memory for the pages of the new tokens.
        ClosedError
            The model is closed.
        """
        runner = self._runner
        parts = runner.split(batch)
        logits = runner.logits_for(batch, logits)
        with self._lock:
            compiled, plain = self._open_pass(), self._plain
            runner.reserve(compiled, batch, parts)
            if plain is None or seconds is not None:
                runner.run(compiled, batch, parts, logits, seconds, go_on)
            else:
                runner.run_halves(compiled, plain, batch, logits)
        return logits

    def embed(self, texts: TextBatch, pooling: Pooling) -> NDArray[np.float32]:
        """Embed texts in one pass, which leaves nothing of them.

        A text's embedding does not depend on the other texts, to the last bit, at any
        level but `amx`.

        Parameters
        ----------
        texts : TextBatch
            Rows of any number. Buffers are made for `n_batch` of them, and again for
            twice as many where that is too few, and so on.
        pooling : Pooling
            How rows become embeddings.

        Returns
        -------
        float32, (n_texts, n)
            Embeddings of texts, not divided by their norms, or of all rows without
            pooling: (n_rows, n_embd). With `"rank"`, the scores of the classifier as
            they are: (n_texts, n_labels).

        Raises
        ------
        ArgumentError
            These rows cannot be run, or the model has no classifier.
        OutOfMemoryError
            There is no memory for the pass.
        ClosedError
            The model is closed.
        """
        texts.check(self._config.n_vocab, self._config.n_token_types)
        with self._lock:
            self._check_open()
            if self._embeddings is None:
                raise ArgumentError("embed: wanted a plan with embedding passes")
            return self._embeddings.run(texts, pooling)

    def cost(self, first: int, n_rows: int, n_wanted: int) -> Cost:
        """Count what a pass must read and compute: see `PassCost`.

        Raises
        ------
        ClosedError
            The model is closed.
        """
        return self._open_pass().cost.of(first, n_rows, n_wanted)

    def explain(
        self,
        n_rows: int,
        *,
        n_past: int = 0,
        n_wanted: int = 1,
        repetitions: int = 5,
    ) -> PassReport:
        """Run passes of that many rows, and tell what each of their steps takes.

        The passes of an encoder embed a text, with nothing before it.

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
        ClosedError
            The model is closed.
        """
        with self._lock:
            self._check_open()
            if self._embeddings is not None and not self.has_logits:
                return explain_text(
                    self._embeddings,
                    n_rows,
                    n_past,
                    repetitions=repetitions,
                    n_threads=usable_threads(self._n_threads),
                )
            compiled = self._open_pass()
        return explain_pass(
            self,
            compiled,
            n_rows,
            n_past,
            n_wanted,
            repetitions=repetitions,
            n_threads=usable_threads(self._n_threads),
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
            self._check_open()
            compiled, plain, embeddings = None, None, self._embeddings
            if embeddings is not None and is_activated:  # on ends of generated texts
                embeddings = replace(embeddings, adapters={}, saved=None)
            elif embeddings is not None:
                embeddings = replace(embeddings, adapters=adapters, saved=saved)
            forward, config, weights = self._forward, self._config, self._weights
            if config.is_causal:
                compiled = self._compile(
                    record_pass(forward, config, weights, adapters, saved)
                )
                if is_activated:
                    plain = self._compile(record_pass(forward, config, weights))
            elif embeddings is not None:
                embeddings.recorded("none")  # whether it has the matrices
            self._compiled, self._plain = compiled, plain
            self._embeddings = embeddings

    def close(self) -> None:
        """Let weights, buffers and spare pages go."""
        with self._lock:
            self._is_closed = True
            self._compiled = self._plain = self._embeddings = self._mtp = None
            self._weights = {}
            self._pool.trim()

    def _compile(self, recorded: RecordedPass) -> CompiledPass:
        return compile_pass(
            recorded,
            self._layout,
            n_threads=self._n_threads,
            n_batch=self.n_batch,
            observer=self._observer,
        )

    def _open_pass(self) -> CompiledPass:
        self._check_open()
        if self._compiled is None:
            family = self._config.architecture
            raise ArgumentError(f"{family}: an encoder, which has no logits")
        return self._compiled

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the model is closed")
