"""Forward passes of a model, by either executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import Batch

Array = NDArray[np.float32]


def logits(path: Path, kind: Any, **options: Any) -> Array:
    """Return the logits of a prompt of 40 tokens, and of 5 more decoded one by one.

    Parameters
    ----------
    kind : str
        The executor: `"reference"` or `"plan"`.
    **options : Any
        Options of `load_executor`.

    Returns
    -------
    float32, (45, n_vocab)
        Logits after each token.
    """
    with open_gguf(path) as file:
        config = read_config(file)
        executor = load_executor(file, config, executor=kind, **options)
    ids = np.random.default_rng(1).integers(0, config.n_vocab, 45).tolist()
    sequence = executor.new_sequence()
    together = executor.forward(Batch.of(ids[:40], sequence, "all"))
    alone = [executor.forward(Batch.of([i], sequence, "all")) for i in ids[40:]]
    return np.concatenate([together, *alone])


def logits_of(path: Path, ids: list[int], kind: Any = "reference") -> Array:
    """Return the logits after each of `ids`, by the model of a file or a folder.

    All are computed in one pass, with keys and values in float32.

    Returns
    -------
    float32, (n_tokens, n_vocab)
    """
    with open_model(path) as file:
        executor = load_executor(
            file, read_config(file), executor=kind, n_threads=2, kv_type="f32"
        )
    sequence = executor.new_sequence()
    if executor.long_texts is not None:
        sequence.n_long = executor.long_texts.n_long(len(ids))
    logits: Array = executor.forward(Batch.of(ids, sequence, "all"))
    return logits


def error(got: Array, want: Array) -> float:
    """Return the largest difference of logits, relative to their spread."""
    return float(np.abs(got - want).max() / want.std())


def check_conversions(folder: Path, ids: list[int], want: Array) -> Array:
    """Check the plan of a folder, and of its conversions to GGUF beside it.

    Parameters
    ----------
    folder : Path
        A folder of safetensors.
    ids : list of int
        Tokens.
    want : float32, (n_tokens, n_vocab)
        The logits after each.

    Returns
    -------
    float32, (n_tokens, n_vocab)
        The logits of the conversion to Q8_0.
    """
    converted, quantised = folder.with_suffix(".gguf"), folder.with_suffix(".q8")
    logits = logits_of(folder, ids, "plan")
    assert error(logits, want) <= 2e-4
    llamacy.convert(folder, converted)
    np.testing.assert_array_equal(logits_of(converted, ids, "plan"), logits)
    llamacy.convert(folder, quantised, "Q8_0")
    coarse = logits_of(quantised, ids, "plan")
    # a router may choose other experts of a few rows
    assert np.median(np.abs(coarse - want)) <= 0.1 * want.std()
    return coarse
