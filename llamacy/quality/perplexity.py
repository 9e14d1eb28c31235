"""Perplexity of a text, as llama.cpp's `llama-perplexity` computes it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX, check_callback, checked_integer
from llamacy.generation.engine import Prompt
from llamacy.generation.gather import OnProgress
from llamacy.quality.chunks import (
    DEFAULT_BATCH,
    checked_engine,
    cut,
    scored_in,
)
from llamacy.quality.log_softmax import LogSoftmax
from llamacy.quality.logits_file import LogitsWriter, PathLike, new_logits_file
from llamacy.quality.statistics import Perplexity, exponential, mean

if TYPE_CHECKING:
    from llamacy.model.model import Model


def perplexity(
    model: Model,
    text: Prompt,
    *,
    n_ctx: int | None = None,
    n_chunks: int | None = None,
    n_batch: int = DEFAULT_BATCH,
    save_logits: PathLike | None = None,
    on_chunk: Callable[[Perplexity], object] | None = None,
    progress: OnProgress | None = None,
) -> Perplexity:
    """Measure how well a model predicts a text: the less, the better.

    The text is cut into chunks of `n_ctx` tokens, and each is read on its own, with
    the beginning-of-text token as its first if the vocabulary has texts begin with
    it. What counts are the predictions made from more than half of a chunk. So
    does llama.cpp, whose figure this is; figures compare only for the same `n_ctx`
    and the same vocabulary.

    Parameters
    ----------
    text : a text or its token ids, of one chunk or more.
    n_ctx : tokens of a chunk, at least 3; None is 512, or the model's context if
        that is less.
    n_chunks : most chunks to read; None is all.
    n_batch : tokens of the chunks that are read at the same time: more take more
        memory for keys and values.
    save_logits : path of a file for what the model predicts, to be compared with by
        :func:`kl_divergence`: two bytes for each token of the vocabulary and each
        prediction that counts. It is there whole in the end, or not at all.
    on_chunk : called after each chunk with the result so far.
    progress : called with the share that is done, 0.0 to 1.0.

    Raises
    ------
    ArgumentError : no model, a text shorter than a chunk, a bad option.
    ContextLengthError : the model's context does not hold a chunk.
    ModelFileError : the logits cannot be saved.
    ModelOutputError : the model computes what is not a number.

    Examples
    --------
    >>> text = "Cosmo was not afraid of much, only of deep water. " * 4
    >>> with llamacy.load("demo") as model:
    ...     result = llamacy.perplexity(model, text, n_ctx=16)
    >>> result.n_chunks, result.n_scored, 1 < result.value < 100
    (3, 21, True)
    """
    engine = checked_engine(model)
    n_batch = checked_integer("n_batch", n_batch, 1, MAX_CTX)
    check_callback("on_chunk", on_chunk)
    chunks = cut(engine, text, n_ctx, n_chunks)
    nll = np.empty(chunks.n_scored)
    running: list[float] = []
    with ExitStack() as stack:
        writer: LogitsWriter | None = None
        if save_logits is not None:
            file = new_logits_file(save_logits, chunks.ids, engine.n_vocab)
            writer = stack.enter_context(file)

        def receive(place: slice, rows: LogSoftmax, ids: NDArray[np.int32]) -> None:
            nll[place] = rows.nll(ids)
            if writer is not None:
                writer.write(place, rows)

        def estimate(n_done: int) -> Perplexity:
            value, error = exponential(mean(nll[:n_done]))
            n_read = n_done // scored_in(chunks.n_ctx)
            values = tuple(running)
            return Perplexity(value, error, n_read, chunks.n_ctx, n_done, values)

        ended = chunks.read(engine, n_batch, receive, progress)
        with closing(ended):
            for n_done in ended:
                running.append(exponential(mean(nll[:n_done])).value)
                if on_chunk is not None:
                    on_chunk(estimate(n_done))
    return estimate(chunks.n_scored)
