"""The importance matrix of a model: what its matrices' inputs are like on a text."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import (
    check_callback,
    checked_flag,
    checked_integer,
    checked_path,
    checks_options,
    short,
)
from llamacy.errors import (
    ArgumentError,
    Interrupted,
    ModelOutputError,
    UnsupportedCallError,
)
from llamacy.formats.imatrix import ImportanceMatrix, InputSums, read_imatrix
from llamacy.generation.engine import Engine
from llamacy.generation.prompts import Prompt
from llamacy.generation.tally import OnProgress
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import Batch, Wanted
from llamacy.quality.chunks import checked_engine, cut

if TYPE_CHECKING:
    from llamacy.model.model import Model
    from llamacy.ops.plan.observing import InputSquares, Observer
    from llamacy.ops.plan.plan import Plan

PathLike = str | os.PathLike[str]
_OUTPUTS = ("output.weight", "token_embd.weight")

_logger = logging.getLogger("llamacy")


@checks_options()
def imatrix(
    model: Model,
    text: Prompt,
    target: PathLike | None = None,
    *,
    n_ctx: int | None = None,
    n_chunks: int | None = None,
    first_chunk: int = 0,
    process_output: bool = False,
    before: Sequence[PathLike] = (),
    dataset: str = "",
    save_every: int = 10,
    on_chunk: Callable[[ImportanceMatrix], object] | None = None,
    progress: OnProgress | None = None,
) -> ImportanceMatrix:
    """Find which columns of a model's matrices matter on a text, for `quantize`.

    The model reads the text in chunks, as for `perplexity`, and the squares of the
    inputs of every matrix of its layers are added up: of experts, of each its own. As
    many as 100 chunks of a text like those that the model will be used for are enough.
    llama.cpp's `llama-imatrix` does the same, and either program reads the other's
    files.

    Parameters
    ----------
    model : Model
        The model, best with float weights. Its adapters are left out.
    text : str or sequence of int
        A text or its token ids, of one chunk or more.
    target : str or os.PathLike, optional
        A file for the result: GGUF, or llama.cpp's older form if its name ends in
        ``.dat``. It is written after every `save_every` chunks and at the end, and also
        if the call fails or is interrupted, so that no work is lost.
    n_ctx : int, optional
        Tokens of a chunk, at least 3; None is 512, or the model's context if that is
        smaller.
    n_chunks : int, optional
        Most chunks to read; None reads all.
    first_chunk : int
        Chunks of the text to skip, which an earlier call has read.
    process_output : bool
        Whether to observe the matrix that makes the logits, too.
    before : sequence of str or os.PathLike
        Importance matrices of earlier calls, which are added. A warning is logged if
        their chunks had another size; that of a ``.dat`` file is taken to be 512.
    dataset : str
        The text's name, for the file.
    save_every : int
        Chunks from one save to the next.
    on_chunk : callable, optional
        Called after each chunk with the result so far.
    progress : callable, optional
        Called with the share done, 0.0 to 1.0.

    Returns
    -------
    ImportanceMatrix
        The sums, by matrix.

    Raises
    ------
    ArgumentError
        `model` is not a `Model`, the text has no such chunk, or an option is invalid.
    ContextLengthError
        The model's context does not hold a chunk.
    FormatError
        A file of `before` is broken or of another model.
    ModelFileError
        A file cannot be read or written.
    ModelOutputError
        The model computed NaN or infinity.
    Interrupted
        Ctrl-C; `completion` is what was collected.

    Examples
    --------
    >>> text = "Cosmo was not afraid of much, only of deep water. " * 20
    >>> with llamacy.load("demo") as model:
    ...     matrix = llamacy.imatrix(model, text, "demo.imatrix.gguf", n_ctx=64)
    >>> matrix.n_chunks, matrix.entries["blk.0.attn_q.weight"].counts
    (3, array([192]))
    """
    engine = checked_engine(model)
    new_path = None if target is None else checked_path("target", target)
    first_chunk = checked_integer("first_chunk", first_chunk, 0)
    save_every = checked_integer("save_every", save_every, 1)
    process_output = checked_flag("process_output", process_output)
    if not isinstance(dataset, str):
        raise ArgumentError(f"dataset: wanted a name, found {short(dataset)}")
    check_callback("on_chunk", on_chunk)
    check_callback("progress", progress)
    earlier = [read_imatrix(path, argument="before") for path in _paths(before)]
    ids = _chunks(engine, text, n_ctx, first_chunk, n_chunks)
    collector = _Collector(model, earlier, dataset, ids.shape[1], process_output)
    n_saved = 0
    try:
        for number, tokens in enumerate(ids, 1):
            collector.read(tokens)
            if new_path is not None and number % save_every == 0:
                collector.so_far().save(new_path)
                n_saved = number
            if on_chunk is not None:
                on_chunk(collector.so_far())
            if progress is not None:
                progress(number / len(ids))
    except KeyboardInterrupt as error:
        raise Interrupted(collector.so_far()) from error
    finally:
        if new_path is not None and collector.n_read > n_saved:
            collector.so_far().save(new_path)
    return collector.so_far()


def _paths(before: object) -> Sequence[PathLike]:
    if isinstance(before, str | os.PathLike):
        return [before]
    if isinstance(before, list | tuple):
        return before
    raise ArgumentError(f"before: wanted paths, found {short(before)}")


def _chunks(
    engine: Engine,
    text: Prompt,
    n_ctx: int | None,
    first_chunk: int,
    n_chunks: int | None,
) -> NDArray[np.int32]:
    """Return the chunks to read, as the model reads them: int32, (n_chunks, n_ctx)."""
    end = n_chunks
    if n_chunks is not None:
        end = first_chunk + checked_integer("n_chunks", n_chunks, 1)
    chunks = cut(engine, text, n_ctx, end)
    ids = chunks.ids[first_chunk:].copy()
    if not len(ids):
        raise ArgumentError(
            f"first_chunk: wanted 0 to {len(chunks.ids) - 1}, found {first_chunk}"
        )
    if chunks.bos_id is not None:
        ids[:, 0] = chunks.bos_id
    return ids


class _Collector:
    """Reads chunks, and adds the squares of matrices' inputs to earlier ones."""

    def __init__(
        self,
        model: Model,
        earlier: list[ImportanceMatrix],
        dataset: str,
        chunk_size: int,
        process_output: bool,
    ) -> None:
        executor = model.executor
        if not hasattr(executor, "observed"):
            raise UnsupportedCallError(
                "imatrix: the reference executor has no steps to observe"
            )
        self._earlier = earlier
        self._dataset = dataset
        self._chunk_size = chunk_size
        self._process_output = process_output
        self._plan: Plan
        self._observer: Observer
        self._plan, self._observer = executor.observed(self._is_observed)
        self._names = _names_in_file(model.path)
        self.n_read = 0
        self.so_far()  # raises for a matrix of another model, before the work
        for one in earlier:
            if one.chunk_size != chunk_size:
                _logger.warning(
                    "%s: chunks of %d tokens are added to chunks of %d",
                    *(one.path, one.chunk_size, chunk_size),
                )

    def _is_observed(self, name: str) -> bool:
        if name in _OUTPUTS:
            return self._process_output
        return name.startswith("blk.") and name.endswith(".weight")

    def read(self, tokens: NDArray[np.int32]) -> None:
        """Run the model on a chunk.

        Raises
        ------
        ModelOutputError
            A sum is NaN or infinite.
        """
        sequence = self._plan.new_sequence()
        wanted: Wanted = "all" if self._process_output else "none"
        kept = {id(each): (each.sums.copy(), each.counts.copy()) for each in self._all}
        try:
            for first in range(0, len(tokens), self._plan.n_batch):
                part = tokens[first : first + self._plan.n_batch].tolist()
                self._plan.forward(Batch.of(part, sequence, wanted))
            self._check_finite()
        except BaseException:  # only whole chunks count
            for each in self._all:
                each.sums[:], each.counts[:] = kept[id(each)]
            raise
        finally:
            sequence.close()
        self.n_read += 1

    @property
    def _all(self) -> list[InputSquares]:
        squares = self._observer.squares.values()  # of which some are shared
        return list({id(each): each for each in squares}.values())

    def _check_finite(self) -> None:
        for name, each in self._observer.squares.items():
            if not np.isfinite(each.sums.astype(np.float32)).all():
                raise ModelOutputError(
                    f"the inputs of {name} are NaN, infinite or too large"
                )

    def so_far(self) -> ImportanceMatrix:
        """Return the sums of all chunks, and of the earlier matrices."""
        entries = {
            name: InputSums(each.sums.astype(np.float32), each.counts.copy())
            for name, each in sorted(self._observer.squares.items())
        }
        datasets = (self._dataset,) if self._dataset else ()
        matrix = ImportanceMatrix(entries, datasets, self.n_read, self._chunk_size)
        matrix = matrix.named_as(self._names)
        for one in self._earlier:
            matrix = replace(one, path="").plus(replace(matrix, path=one.path))
        return replace(matrix, chunk_size=self._chunk_size, path="")


def _names_in_file(path: str) -> list[str]:
    """Return the names of a model's tensors as they are in its file."""
    with open_model(Path(path)) as file:
        return list(file.tensors)
