"""Writes a shape as a GGUF file with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFValueType
from numpy.typing import NDArray
from random_models.shape import TINY_VOCAB, Shape
from random_models.tensors import tensors_of
from random_models.vocabulary import vocabulary
from random_models.weights import random_blocks

from llamacy.formats.gguf.writer import write_gguf
from llamacy.ggml.file_types import find_file_type
from llamacy.ggml.types import QUANTIZATION_VERSION


def write_random_model(
    shape: Shape,
    path: Path,
    type_name: str,
    *,
    n_layer: int | None = None,
    n_vocab: int | None = None,
    seed: int = 0,
) -> None:
    """Write a model of a shape.

    Parameters
    ----------
    shape : Shape
        Its hyperparameters.
    path : Path
        The file to write.
    type_name : str
        A file type, such as `"Q4_K_M"`, which decides the type of each tensor.
    n_layer : int, optional
        Layers, by default those of the real model.
    n_vocab : int, optional
        Tokens, by default as many as the real model has.
    seed : int
        Of the weights.

    Raises
    ------
    ArgumentError
        There is no such file type.
    LlamacyError
        There cannot be a model of that number of layers.
    """
    n_vocab = n_vocab or shape.n_vocab
    metadata = shape.metadata(n_layer, n_vocab) | vocabulary(n_vocab)
    _write(shape, metadata, path, type_name, seed)


def write_tiny_model(shape: Shape, path: Path, type_name: str = "Q8_0") -> None:
    """Write a model of the same kind with small sizes, mostly of a megabyte or two."""
    metadata = shape.tiny_metadata() | vocabulary(TINY_VOCAB)
    _write(shape, metadata, path, type_name, 0)


def _write(
    shape: Shape, metadata: dict[str, Any], path: Path, type_name: str, seed: int
) -> None:
    file_type = find_file_type(type_name)
    metadata |= {
        "general.name": "random weights",  # others make llama.cpp look for tokens
        "general.file_type": file_type.number,
        "general.quantization_version": QUANTIZATION_VERSION,
    }
    tensors = tensors_of(shape, metadata, file_type)

    def blocks() -> Iterator[NDArray[np.uint8]]:
        for tensor in tensors:
            yield random_blocks(tensor, seed)

    value_types = {key: _value_type(value) for key, value in metadata.items()}
    write_gguf(str(path), metadata, value_types, tensors, blocks())


def _value_type(value: Any) -> int:
    """Return the type of a value in GGUF; of an array's, if it is one."""
    is_array = isinstance(value, np.ndarray | list)
    kind = type(np.asarray(value).flat[0].item() if is_array else value)
    types = {
        bool: GGUFValueType.BOOL,
        int: GGUFValueType.INT32 if is_array else GGUFValueType.UINT32,
        float: GGUFValueType.FLOAT32,
        str: GGUFValueType.STRING,
    }
    return int(types[kind])
