"""Executors with adapters, and the same with the adapters in their weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf.config import read_config
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.adapters import read_adapters
from llamacy.model.executors import LoadedExecutor, load_executor
from llamacy.model.joining import low_ranks
from llamacy.ops.batch import Batch, TextBatch
from tests.support.lora_files import Pairs, product

Floats = NDArray[np.float32]
Kind = Literal["plan", "reference"]

TOKENS: Final = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7]
PLAN_TOLERANCE: Final = 2e-3
"""Relative to the largest logit: the plan may round activations."""
TOLERANCES: Final[dict[Kind, float]] = {"reference": 1e-5, "plan": PLAN_TOLERANCE}


def merged(
    tensors: Mapping[str, Floats], pairs: Pairs, scale: float
) -> dict[str, Floats]:
    """Return the weights with `scale * b @ a` added."""
    changed = {
        name: tensors[name]
        + np.float32(scale) * product(name, a, b).reshape(tensors[name].shape)
        for name, (a, b) in pairs.items()
    }
    return {**tensors, **changed}


def executor_of(
    path: Path, kind: Kind, lora: Any = None, n_threads: int = 1
) -> LoadedExecutor:
    with open_gguf(path) as file:
        config = read_config(file)
        executor = load_executor(
            file, config, executor=kind, kv_type="f32", n_threads=n_threads
        )
    if lora is not None:
        adapters = read_adapters(lora, config)
        executor.set_adapters(
            low_ranks(adapters, executor.shapes, executor.weight_rows)
        )
    return executor


def logits_of(executor: LoadedExecutor) -> Floats:
    """Return the logits of some tokens, or an encoder's embeddings of them."""
    if executor.has_logits:
        return executor.forward(Batch.of(TOKENS, executor.new_sequence(), "all"))
    return executor.embed(TextBatch.of([TOKENS]), "none")


def largest_difference(a: Floats, b: Floats) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def check_both(path: Path, lora: Any, wanted: Floats) -> None:
    """Check that both executors compute the logits wanted of a model with adapters."""
    for kind, most in TOLERANCES.items():
        found = logits_of(executor_of(path, kind, lora))
        assert largest_difference(found, wanted) < most
