"""Perplexity of a text, as llama.cpp's `llama-perplexity` computes it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX, check_callback, checked_integer, checks_options
from llamacy.generation.prompts import Prompt
from llamacy.generation.tally import OnProgress
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


@checks_options()
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
    """Measure how well a model predicts a text: the lower, the better.

    The text is cut into chunks of `n_ctx` tokens. The model reads each on its own, with
    the beginning-of-text token as the first if the vocabulary puts it before texts. The
    predictions made from more than half of a chunk count. llama.cpp does the same, and
    the figures agree; they compare only for the same text, `n_ctx` and vocabulary.

    Parameters
    ----------
    model : Model
        The model to judge.
    text : str or sequence of int
        A text or its token ids, of one chunk or more.
    n_ctx : int, optional
        Tokens of a chunk, at least 3; None is 512, or the model's context if that is
        smaller.
    n_chunks : int, optional
        Most chunks to read; None reads all.
    n_batch : int
        Most tokens of the chunks prefilled together; more need more memory for keys and
        values.
    save_logits : str or os.PathLike, optional
        A file to save the model's predictions in, for `kl_divergence`. It takes two
        bytes per prediction that counts and token of the vocabulary, which soon adds up
        to gigabytes. It appears complete at the end, or not at all.
    on_chunk : callable, optional
        Called after each chunk with the result so far.
    progress : callable, optional
        Called with the share done, 0.0 to 1.0.

    Returns
    -------
    Perplexity
        The perplexity and its standard error.

    Raises
    ------
    ArgumentError
        `model` is not a `Model`, the text is shorter than a chunk, or an option is
        invalid.
    ContextLengthError
        The model's context does not hold a chunk.
    ModelFileError
        The logits cannot be saved.
    ModelOutputError
        A logit is NaN or infinite.

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
