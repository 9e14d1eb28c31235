"""Forward passes of a model file, by either executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.executors import load_executor
from llamacy.ops.batch import Batch


def logits(path: Path, kind: Any, **options: Any) -> NDArray[np.float32]:
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
