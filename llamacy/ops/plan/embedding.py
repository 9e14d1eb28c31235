"""Passes that embed texts: all rows of each, of which nothing is left for later ones.

They have programs of their own, one for each kind of pooling, made when it is first
asked for. Keys and values are float32, in pages that are taken for the pass. A page has
those of one layer: the next one writes over them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from llamacy.config import ModelConfig, Pooling
from llamacy.ggml.tensor import Tensor
from llamacy.ops.adapters import LowRank
from llamacy.ops.batch import TextBatch
from llamacy.ops.plan.compiling import (
    CompiledPass,
    RecordedPass,
    compile_pass,
    record_pass,
)
from llamacy.ops.plan.fusion import READERS
from llamacy.ops.plan.packed_weights import Weight
from llamacy.ops.plan.recorder import Node
from llamacy.ops.plan.running import BatchRunner
from llamacy.ops.plan.runs import Part
from llamacy.ops.rope import LongTexts, long_texts
from llamacy.ops.state.kv_pages import PAGE
from llamacy.ops.state.layout import StateLayout
from llamacy.ops.state.paged_sequence import PagedSequence
from llamacy.ops.state.pages import PagePool
from llamacy.ops.state.specs import KeyValues
from llamacy.ops.vocabulary import Embed, Ops

_KV_TYPE: Final = "f32"


def layout_of_pass(nodes: Sequence[Node]) -> StateLayout:
    """Give the keys of all layers one place, but those that later layers read."""
    states = dict.fromkeys(node.state for node in nodes if node.state is not None)
    read_later = {node.state for node in nodes if node.op in READERS}
    brief = [
        spec
        for spec in states
        if isinstance(spec, KeyValues) and spec not in read_later
    ]
    return StateLayout(states, _KV_TYPE, brief)


@dataclass
class EmbeddingPasses:
    """The embedding passes of one model; not for several threads at once.

    Attributes
    ----------
    embed : callable
        The architecture's embedding pass.
    config : ModelConfig
        Hyperparameters.
    weights : dict of Weight
        By name, as `pack_weights` leaves them.
    n_threads : int
        Threads of a pass.
    n_batch : int
        Rows of most passes: buffers are as high, and higher once a pass has more.
    adapters : dict of LowRank
        By the names of the matrices.
    saved : dict of Tensor or None
        Tensors that take the place of the weights of their names.
    """

    embed: Embed
    config: ModelConfig
    weights: Mapping[str, Weight]
    n_threads: int
    n_batch: int
    adapters: Mapping[str, LowRank[NDArray[np.float32]]] = field(default_factory=dict)
    saved: Mapping[str, Tensor] | None = None

    def __post_init__(self) -> None:
        self._recorded: dict[Pooling, RecordedPass] = {}
        self._compiled: dict[Pooling, tuple[int, CompiledPass]] = {}

    def run(
        self,
        texts: TextBatch,
        pooling: Pooling,
        seconds: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """Embed texts: see `Plan.embed`, and for `seconds` `Plan.forward`."""
        recorded = self.recorded(pooling)
        compiled = self.compiled_for(pooling, len(texts.tokens))
        sequences = [PagedSequence(self._pool) for _ in texts.lengths]
        lengths = texts.lengths.tolist()
        ends = np.cumsum(texts.lengths).tolist()
        parts = [
            Part(end - length, length, sequence)
            for end, length, sequence in zip(ends, lengths, sequences, strict=True)
        ]
        if self._long_texts is not None:
            for part in parts:
                part.sequence.n_long = self._long_texts.n_long(part.n_rows)
        batch = texts.rows(sequences, self.config.embedding.pooled_as(pooling))
        out = np.empty((len(batch.wanted), recorded.output.width), np.float32)
        try:
            self._runner.reserve(compiled, batch, parts)
            self._runner.run(compiled, batch, parts, out, seconds)
        finally:
            for sequence in sequences:
                sequence.close()
        return out

    def recorded(self, pooling: Pooling) -> RecordedPass:
        """Return the operations of a pass.

        Raises
        ------
        ArgumentError
            The model cannot pool so, or has no matrix for one of the adapters.
        OutOfMemoryError
            There is no memory for the adapters.
        """
        if pooling not in self._recorded:

            def forward(
                ops: Ops[Any, Any], config: ModelConfig, weights: Mapping[str, Any]
            ) -> Any:
                return self.embed(ops, config, weights, pooling)

            self._recorded[pooling] = record_pass(
                forward, self.config, self.weights, self.adapters, self.saved
            )
        return self._recorded[pooling]

    def compiled_for(self, pooling: Pooling, n_rows: int) -> CompiledPass:
        """Return a program for that many rows, which may be one for more."""
        height, compiled = self._compiled.get(pooling, (0, None))
        if compiled is None or height < n_rows:
            height = self.n_batch
            while height < n_rows:
                height *= 2
            self._compiled.pop(pooling, None)  # its buffers make room for the others
            compiled = compile_pass(
                self.recorded(pooling),
                self._layout,
                n_threads=self.n_threads,
                n_batch=height,
            )
            self._compiled[pooling] = height, compiled
        return compiled

    @cached_property
    def _layout(self) -> StateLayout:
        """The states of all passes, which differ in their pooling alone."""
        return layout_of_pass(next(iter(self._recorded.values())).nodes)

    @cached_property
    def _pool(self) -> PagePool:
        layout = self._layout
        return PagePool(PAGE, layout.page_bytes, text_bytes=layout.text_bytes)

    @cached_property
    def _runner(self) -> BatchRunner:
        return BatchRunner(
            self.config,
            self._long_texts,
            self._pool,
            n_threads=self.n_threads,
            n_batch=self.n_batch,
        )

    @cached_property
    def _long_texts(self) -> LongTexts | None:
        return long_texts(self.config, self.weights)
