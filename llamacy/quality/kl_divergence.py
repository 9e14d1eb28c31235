"""How far a model's predictions are from another's, as `llama-perplexity` computes it.

With ``--kl-divergence`` it compares a model with the file that one saved which is not
quantised: what that expects, and this one does not, is what quantisation has cost.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX, check_callback, checked_integer
from llamacy.errors import ContextLengthError, FormatError
from llamacy.generation.gather import OnProgress
from llamacy.quality.chunks import (
    DEFAULT_BATCH,
    Chunks,
    checked_count,
    checked_engine,
    chunk_bos,
    scored_in,
)
from llamacy.quality.log_softmax import LogSoftmax, decode
from llamacy.quality.logits_file import LogitsFile, PathLike
from llamacy.quality.statistics import (
    Distribution,
    KLDivergence,
    Paired,
    exponential,
    mean,
    root,
    share,
)

if TYPE_CHECKING:
    from llamacy.model.model import Model

_LEAST = np.float32(-16)  # log-probability of what the base does not expect at all


class _Comparison:
    """What is noted of each prediction: arrays, (n_scored,)."""

    def __init__(self, n_scored: int) -> None:
        self._nll = np.empty(n_scored)
        self._base_nll = np.empty(n_scored)
        self._kld = np.empty(n_scored)
        self._is_same_top = np.empty(n_scored, np.bool_)

    def note(
        self,
        at: slice,
        rows: LogSoftmax,
        base: NDArray[np.uint16],
        ids: NDArray[np.int32],
    ) -> None:
        """Compare some predictions with the base's; `ids` are the tokens that came."""
        ours = rows.log_probs()
        theirs = decode(base, ours.shape[1])
        chosen = ids[:, None]
        self._nll[at] = rows.nll(ids)
        self._base_nll[at] = -np.take_along_axis(theirs, chosen, axis=1)[:, 0]
        self._is_same_top[at] = ours.argmax(axis=1) == theirs.argmax(axis=1)
        is_expected = theirs > _LEAST
        terms = np.exp(theirs) * (theirs - ours)
        self._kld[at] = terms.sum(axis=1, dtype=np.float64, where=is_expected)

    def result(self, n_done: int, n_ctx: int) -> KLDivergence:
        """Statistics of the first `n_done` predictions."""
        nll, base_nll = self._nll[:n_done], self._base_nll[:n_done]
        paired = Paired.of(nll, base_nll)
        p_diff = np.exp(-nll) - np.exp(-base_nll)
        return KLDivergence(
            perplexity=exponential(paired.first),
            base_perplexity=exponential(paired.second),
            correlation=paired.correlation,
            log_ratio=paired.log_ratio,
            ratio=exponential(paired.log_ratio),
            difference=paired.difference,
            kld=Distribution.of(self._kld[:n_done]),
            p_diff=Distribution.of(p_diff),
            rms_p_diff=root(mean(p_diff**2)),
            same_top=share(self._is_same_top[:n_done]),
            n_chunks=n_done // scored_in(n_ctx),
            n_ctx=n_ctx,
            n_scored=n_done,
        )


def kl_divergence(
    model: Model,
    base: PathLike,
    *,
    n_chunks: int | None = None,
    n_batch: int = DEFAULT_BATCH,
    on_chunk: Callable[[KLDivergence], object] | None = None,
    progress: OnProgress | None = None,
) -> KLDivergence:
    """Compare what a model predicts of a text with what another one did.

    Parameters
    ----------
    base : path of a file of that other model, which :func:`perplexity` saved, or
        llama.cpp with ``--kl-divergence-base``. The text is in it, as tokens.
    n_chunks : most chunks to read; None is all that are in the file.
    n_batch, progress : as :func:`perplexity` has them.
    on_chunk : called after each chunk with the result so far.

    Raises
    ------
    ArgumentError : no model, a bad option.
    ModelFileError : the file cannot be read.
    FormatError : it is damaged, or of a model with another vocabulary.
    ContextLengthError : the model's context does not hold one of its chunks.
    ModelOutputError : the model computes what is not a number.
    """
    engine = checked_engine(model)
    n_batch = checked_integer("n_batch", n_batch, 1, MAX_CTX)
    check_callback("on_chunk", on_chunk)
    with closing(LogitsFile(base)) as file:
        if file.n_vocab != engine.n_vocab:
            wanted = f"{engine.n_vocab}, the model's"
            raise FormatError(file.path, "n_vocab", wanted, file.n_vocab)
        n_found, n_ctx = file.ids.shape
        if n_ctx > engine.n_ctx:
            raise ContextLengthError(n_ctx, engine.n_ctx)
        ids = file.ids[: checked_count(n_chunks, n_found)]
        chunks = Chunks(ids, chunk_bos(engine))
        comparison = _Comparison(chunks.n_scored)

        def receive(place: slice, rows: LogSoftmax, ids: NDArray[np.int32]) -> None:
            comparison.note(place, rows, file.rows(place), ids)
            file.release(place)

        ended = chunks.read(engine, n_batch, receive, progress)
        with closing(ended):
            for n_done in ended:
                if on_chunk is not None:
                    on_chunk(comparison.result(n_done, n_ctx))
        return comparison.result(chunks.n_scored, n_ctx)
