"""KL divergence of a model's predictions from another's, as `llama-perplexity` has it.

Its option `--kl-divergence` compares a quantised model with predictions saved by the
original: the divergence is what quantisation has cost.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX, check_callback, checked_integer, checks_options
from llamacy.errors import ContextLengthError, FormatError
from llamacy.generation.tally import OnProgress
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

_LEAST = np.float32(-16)  # log-probability at which the base's prediction is cut off


class _Comparison:
    """Figures of each prediction, in arrays of (n_scored,)."""

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
        """Compare predictions with the base's; `ids` are the tokens that follow."""
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
        """Return the statistics of the first `n_done` predictions."""
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


@checks_options()
def kl_divergence(
    model: Model,
    base: PathLike,
    *,
    n_chunks: int | None = None,
    n_batch: int = DEFAULT_BATCH,
    on_chunk: Callable[[KLDivergence], object] | None = None,
    progress: OnProgress | None = None,
) -> KLDivergence:
    """Compare a model's predictions on a text with those of another model, the base.

    Shows what quantisation costs more precisely than two perplexities do, because the
    whole distributions are compared, token by token.

    Parameters
    ----------
    model : Model
        The model to judge.
    base : str or os.PathLike
        A file of the base's predictions, saved by `perplexity`, or by llama.cpp with
        `--kl-divergence-base`. It contains the text, as tokens.
    n_chunks : int, optional
        Most chunks to read; None reads all that are in the file.
    n_batch : int
        Most tokens of the chunks prefilled together; more need more memory for keys and
        values.
    on_chunk : callable, optional
        Called after each chunk with the result so far.
    progress : callable, optional
        Called with the share done, 0.0 to 1.0.

    Returns
    -------
    KLDivergence
        The divergence and related statistics.

    Raises
    ------
    ArgumentError
        `model` is not a `Model`, or an option is invalid.
    ModelFileError
        The file cannot be read.
    FormatError
        The file is damaged, or belongs to a model with another vocabulary.
    ContextLengthError
        The model's context does not hold a chunk of the file.
    ModelOutputError
        A logit is NaN or infinite.

    Examples
    --------
    >>> text = "Cosmo was not afraid of much, only of deep water. " * 4
    >>> with llamacy.load("demo") as model:
    ...     saved = llamacy.perplexity(model, text, n_ctx=16, save_logits="demo.logits")
    >>> with llamacy.load("demo", quantize="Q2_K") as model:
    ...     result = llamacy.kl_divergence(model, "demo.logits")
    >>> result.kld.mean.value > 0, result.same_top.value > 0.5
    (True, True)
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
