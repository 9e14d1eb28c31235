"""Vectors of llama.cpp: blocks and weights of types that `gguf` does not know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def llama_cpp_blocks() -> Mapping[str, NDArray[Any]]:
    """Return vectors made with the ggml of llama-cpp-python 0.3.36.

    For Q1_0, Q2_0 and NVFP4 there are `*_blocks`, uint8, and the `*_weights` they stand
    for, float32; and `*_quantised`, the blocks that it makes of `floats`.
    """
    with np.load(Path(__file__).with_name("llama_cpp_blocks.npz")) as file:
        return dict(file)
