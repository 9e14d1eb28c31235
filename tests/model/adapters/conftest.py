"""A small LLaMA, and adapters for all its matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lora_files import Pairs, random_pairs, write_lora
from numpy.typing import NDArray

import llamacy
from llamacy.model.model import Model

Floats = NDArray[np.float32]

RANK, ALPHA = 5, 12.0


@pytest.fixture(scope="module")
def tensors(random_tensors: Callable[..., dict[str, Floats]]) -> dict[str, Floats]:
    block = {
        "attn_norm.weight": (64,),
        "attn_q.weight": (64, 64),
        "attn_k.weight": (32, 64),
        "attn_v.weight": (32, 64),
        "attn_v.bias": (32,),
        "attn_output.weight": (64, 64),
        "ffn_norm.weight": (64,),
        "ffn_gate.weight": (96, 64),
        "ffn_up.weight": (96, 64),
        "ffn_down.weight": (64, 96),
    }
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (50, 64),
        "output_norm.weight": (64,),
        "output.weight": (50, 64),
    }
    for layer in range(2):
        shapes |= {f"blk.{layer}.{name}": shape for name, shape in block.items()}
    return random_tensors(shapes.items())


@pytest.fixture(scope="module")
def write_model(
    write_gguf: Callable[..., Path], llama_metadata: Callable[..., dict[str, Any]]
) -> Callable[..., Path]:
    return lambda path, tensors, *type_name: write_gguf(
        path, llama_metadata(), tensors, *type_name
    )


@pytest.fixture(scope="module")
def base(
    tmp_path_factory: pytest.TempPathFactory,
    tensors: dict[str, Floats],
    write_model: Callable[..., Path],
) -> Path:
    return write_model(tmp_path_factory.mktemp("base") / "base.gguf", tensors)


@pytest.fixture(scope="module")
def pairs(tensors: dict[str, Floats]) -> Pairs:
    """Random pairs for every matrix of the model."""
    return random_pairs({name: t.shape for name, t in tensors.items()}, RANK, 1)


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> Path:
    path = tmp_path_factory.mktemp("lora") / "lora.gguf"
    return write_lora(path, pairs, alpha=ALPHA)


@pytest.fixture
def model(base: Path) -> Iterator[Model]:
    with llamacy.load(base, n_threads=1) as model:
        yield model
