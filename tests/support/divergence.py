"""How far predictions are from those of float32 arithmetic, part by part of a text.

The logits of a large vocabulary fill gigabytes, so that only those of one part are in
memory at a time; and what is computed from them, of a few rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.ops.batch import Batch
from llamacy.ops.plan.plan import Plan
from llamacy.ops.reference import ReferenceExecutor

N_PART = 200
N_ROWS = 16  # whose temporary arrays the allocator keeps, as it does no larger ones

Floats = NDArray[np.float32]
Engine = Callable[[list[int]], Floats]
"""Reads the next tokens of a text and returns the logits after each: (n, n_vocab)."""


def engine_of(executor: Plan | ReferenceExecutor) -> Engine:
    """Return an engine that begins a new text on an executor."""
    sequence = executor.new_sequence()

    def read(ids: list[int]) -> Floats:
        return executor.forward(Batch.of(ids, sequence, "all"))

    return read


def reference(path: Path) -> Engine:
    """Return an engine that computes everything in float32."""
    with open_gguf(path) as file:
        config = read_config(file)
        return engine_of(load_executor(file, config, executor="reference"))


class Divergence:
    """Figures of one engine, a value for each prediction.

    Attributes
    ----------
    kld : list of float
        KL divergences from the reference, in nats.
    nll : list of float
        Negative logarithms of the probabilities of the tokens that follow.
    """

    def __init__(self) -> None:
        self.kld: list[float] = []
        self.nll: list[float] = []

    def perplexity(self) -> float:
        """Return the perplexity of all tokens that follow others."""
        return float(np.exp(np.mean(self.nll)))


def divergences(
    ids: list[int], base: Engine, engines: Mapping[str, tuple[Engine, int]]
) -> dict[str, Divergence]:
    """Read a text with all engines, and compare each with the base.

    Parameters
    ----------
    ids : list of int
        The text.
    base : Engine
        The reference, which reads all of it.
    engines : mapping of str to (Engine, int)
        Others, with the number of tokens that each of them reads.

    Returns
    -------
    dict of str to Divergence
        By engine; `"base"` is the base's own, whose divergences are 0.
    """
    found = {name: Divergence() for name in ("base", *engines)}
    for begin in range(0, len(ids), N_PART):
        part = ids[begin : begin + N_PART]
        following = np.array(ids[begin + 1 : begin + N_PART + 1])
        wanted = log_softmax(base(part))
        note(found["base"], wanted, wanted, following)
        for name, (engine, n_read) in engines.items():
            if begin < n_read:
                note(found[name], wanted, log_softmax(engine(part)), following)
    return found


def note(
    target: Divergence,
    wanted: Floats,
    found: Floats,
    following: NDArray[np.int64],
) -> None:
    """Add the figures of some predictions: logarithms of probabilities, (n, n_vocab).

    `following` are the tokens that come after, which may lack the last one.
    """
    for some in slices(wanted):
        terms = np.exp(wanted[some]) * (wanted[some] - found[some])
        target.kld += terms.sum(axis=1, dtype=np.float64).tolist()
    n = len(following)
    target.nll += (-found[np.arange(n), following]).tolist()


def slices(rows: Floats) -> list[slice]:
    """Return slices of a few rows each."""
    return [slice(begin, begin + N_ROWS) for begin in range(0, len(rows), N_ROWS)]


def log_softmax(logits: Floats) -> Floats:
    """Put the logarithms of the probabilities of each row's tokens in their place."""
    for some in slices(logits):
        rows = logits[some]
        rows -= rows.max(axis=1, keepdims=True)
        rows -= np.log(np.exp(rows).sum(axis=1, dtype=np.float64, keepdims=True))
    return logits
