"""Texts embedded by an executor alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.config import Pooling
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import TextBatch


def embed(
    path: Path, texts: TextBatch, pooling: Pooling = "none", kind: Any = "plan"
) -> NDArray[np.float32]:
    """Return the embeddings of texts by a file or folder: by default all rows."""
    with open_model(path) as file:
        _, config = read_hyperparameters(file)
        executor = load_executor(file, config, executor=kind, n_threads=2)
    found: NDArray[np.float32] = executor.embed(texts, pooling)
    executor.close()
    return found
