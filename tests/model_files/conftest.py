"""A model of float32 weights, to be quantised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.quantizing import N_EMBD, N_FF, SHAPES


@pytest.fixture(scope="module")
def float_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    """A LLaMA of random float32 weights, in rows of whole blocks for every type."""
    metadata = llama_metadata(
        block_count=2, embedding_length=N_EMBD, feed_forward_length=N_FF
    )
    path = tmp_path_factory.mktemp("float") / "float.gguf"
    return write_gguf(path, metadata, random_tensors(SHAPES.items()))
