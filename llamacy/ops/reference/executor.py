"""The executor that runs a model op by op in NumPy."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from llamacy.config import ModelConfig, Pooling
from llamacy.errors import ArgumentError, ClosedError
from llamacy.ggml.tensor import Tensor
from llamacy.ops.activation import halves
from llamacy.ops.adapters import AdaptedOps, LowRank, with_saved
from llamacy.ops.batch import N_BATCH, Batch, GoOn, TextBatch
from llamacy.ops.reference.operations import ReferenceOps
from llamacy.ops.reference.sequence import ReferenceSequence
from llamacy.ops.rope import LongTexts, long_texts
from llamacy.ops.state.sequence import SequenceState
from llamacy.ops.vocabulary import Embed, Forward

Array = NDArray[np.float32]


class ReferenceExecutor:
    """Runs an architecture's forward pass op by op in NumPy.

    Parameters
    ----------
    forward : callable
        The architecture's forward pass.
    config : ModelConfig
        Hyperparameters.
    weights : dict of float32 arrays
        By name.
    n_batch : int
        Most rows of a pass, for callers; it has no limit of its own.
    embed : callable, optional
        The architecture's embedding pass.
    draft : callable, optional
        The architecture's pass of the MTP head that the model has.
    """

    def __init__(
        self,
        forward: Forward,
        config: ModelConfig,
        weights: Mapping[str, Array],
        *,
        n_batch: int = N_BATCH,
        embed: Embed | None = None,
        draft: Forward | None = None,
    ) -> None:
        self.n_batch = n_batch
        self._forward = forward
        self._embed = embed
        self._draft = draft
        self._config = config
        self._weights: Mapping[str, Array] | None = weights
        self._adapters: Mapping[str, LowRank[Array]] = {}
        self._saved: Mapping[str, Array] = {}
        self._is_activated = False
        self._lock = threading.Lock()

    def new_sequence(self) -> ReferenceSequence:
        """Return an empty sequence."""
        return ReferenceSequence()

    @property
    def n_vocab(self) -> int:
        """Logits of a row."""
        return self._config.n_vocab

    @property
    def has_logits(self) -> bool:
        """Whether it has passes whose results are logits: see `Plan`."""
        return self._config.is_causal

    @property
    def long_texts(self) -> LongTexts | None:
        """How long texts are rotated; None if as all others."""
        return long_texts(self._config, self._weights or {})

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights, by name."""
        return {name: array.shape for name, array in (self._weights or {}).items()}

    def weight_rows(self, name: str, first: int, n_rows: int) -> Array:
        """Return rows of a matrix: float32, (n_rows, n_in)."""
        with self._lock:
            if self._weights is None:
                raise ClosedError("the model is closed")
            matrix: Array = np.atleast_2d(self._weights[name])
            return matrix[first : first + n_rows]

    @property
    def page_bytes(self) -> int:
        """0: its keys and values are not in pages."""
        return 0

    n_pages_used = n_pages_free = text_bytes = 0  # likewise

    def forward(
        self, batch: Batch, logits: Array | None = None, go_on: GoOn | None = None
    ) -> Array:
        """Run one forward pass; float32, (n_wanted, n_vocab), in `logits` if given.

        No other follows at once: `go_on` is never called.
        """
        with self._lock:
            if self._weights is None:
                raise ClosedError("the model is closed")
            if not self.has_logits:
                family = self._config.architecture
                raise ArgumentError(f"{family}: an encoder, which has no logits")
            if logits is None:
                logits = np.empty((len(batch.wanted), self.n_vocab), np.float32)
            if not self._is_activated:
                logits[:] = self._run(batch, is_adapted=True)
                return logits
            for half in halves(batch):
                logits[half.logits] = self._run(half.batch, is_adapted=half.is_adapted)
            return logits

    def look_ahead(self, sequence: SequenceState) -> ReferenceSequence:
        """Return a lookahead, of no guessed tokens yet, after a sequence."""
        return _own(sequence).fork()

    def draft(
        self,
        tokens: Sequence[int],
        aheads: Sequence[ReferenceSequence],
        logits: Array | None = None,
    ) -> Array:
        """Read a token more with the MTP head alone: see `Plan.draft`."""
        rows = zip(tokens, aheads, strict=True)
        batch = Batch.join(([token], ahead, "last") for token, ahead in rows)
        with self._lock:
            if self._weights is None:
                raise ClosedError("the model is closed")
            if self._draft is None:
                wanted = "an executor with the passes of an MTP head"
                raise ArgumentError(f"draft: wanted {wanted}")
            for ahead in aheads:
                ahead.begin()
            ops = ReferenceOps(batch)
            result: Array = self._draft(ops, self._config, self._weights)
            for ahead in aheads:
                ahead.advance(1)
        if logits is None:
            return result
        logits[:] = result
        return logits

    def embed(self, texts: TextBatch, pooling: Pooling) -> Array:
        """Embed texts: see `Plan.embed`."""
        config, embed = self._config, self._embed
        texts.check(config.n_vocab, config.n_token_types)
        if embed is None:
            raise ArgumentError("embed: wanted an executor with embedding passes")
        sequences = [ReferenceSequence() for _ in texts.lengths]
        long_texts = self.long_texts
        if long_texts is not None:
            for sequence, length in zip(sequences, texts.lengths.tolist(), strict=True):
                sequence.n_long = long_texts.n_long(length)
        pooled = config.embedding.pooled_as(pooling)
        with self._lock:
            if self._weights is None:
                raise ClosedError("the model is closed")
            saved = {} if self._is_activated else self._saved
            weights = with_saved(self._weights, saved)
            # one that is activated acts on the ends of texts that are generated
            adapters = {} if self._is_activated else self._adapters
            rows = ReferenceOps(texts.rows(sequences, pooled))
            ops = AdaptedOps(rows, weights, adapters)
            result: Array = embed(ops, config, weights, pooling)
            return result

    def _run(self, batch: Batch, *, is_adapted: bool) -> Array:
        """Compute the logits of rows with the adapters, or without."""
        weights = self._weights or {}
        adapters = self._adapters if is_adapted else {}
        if is_adapted:
            weights = with_saved(weights, self._saved)
        sequences = list(map(_own, dict.fromkeys(batch.sequences)))
        for sequence in sequences:
            sequence.begin()
        ops = AdaptedOps(ReferenceOps(batch), weights, adapters)
        result: Array = self._forward(ops, self._config, weights)
        ops.check_all_used()
        for sequence in sequences:
            sequence.advance(batch.sequences.count(sequence))
        return result

    def set_adapters(
        self,
        adapters: Mapping[str, LowRank[Array]],
        saved: Mapping[str, Tensor] | None = None,
        *,
        is_activated: bool = False,
    ) -> None:
        """Compute with these adapters from now on, and no others: see `Plan`."""
        arrays = {name: each.dequantize() for name, each in (saved or {}).items()}
        with self._lock:
            self._adapters, self._saved = dict(adapters), arrays
            self._is_activated = is_activated

    def close(self) -> None:
        """Let the weights go."""
        with self._lock:
            self._weights = None


def _own(sequence: SequenceState) -> ReferenceSequence:
    assert isinstance(sequence, ReferenceSequence)
    return sequence
