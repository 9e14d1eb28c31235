"""Writes a shape as a GGUF file with random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import numpy as np
from gguf import GGUFValueType
from numpy.typing import NDArray
from random_models.shape import TINY_VOCAB, Shape
from random_models.vocabulary import vocabulary
from random_models.weights import random_blocks

from llamacy.architectures.tensors import TensorSpec
from llamacy.config import ModelConfig
from llamacy.formats.gguf.writer import NewTensor, write_gguf
from llamacy.formats.model_file import ModelFile
from llamacy.formats.recipes import model_shape, tensor_type
from llamacy.ggml.file_types import FileType, find_file_type
from llamacy.ggml.types import QUANTIZATION_VERSION, GGMLType
from llamacy.model_files.hyperparameters import read_hyperparameters

Sizes = dict[str, tuple[int, ...]]

_PARTS: Final = {
    "attn_qkv": ("attn_q", "attn_k", "attn_v"),
    "ffn_up": ("ffn_gate", "ffn_up"),
}


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
    metadata = shape.metadata(n_layer) | vocabulary(n_vocab or shape.n_vocab)
    _write(shape, metadata, path, type_name, seed)


def write_tiny_model(shape: Shape, path: Path, type_name: str = "Q8_0") -> None:
    """Write a model of the same kind with small sizes, of about a megabyte."""
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
    tensors = _tensors(shape, metadata, path, file_type)

    def blocks() -> Iterator[NDArray[np.uint8]]:
        for tensor in tensors:
            yield random_blocks(tensor, seed)

    value_types = {key: _value_type(value) for key, value in metadata.items()}
    write_gguf(str(path), metadata, value_types, tensors, blocks())


def _tensors(
    shape: Shape, metadata: dict[str, Any], path: Path, file_type: FileType
) -> list[NewTensor]:
    """List the tensors that the family asks for, in the types of the recipe."""
    file = cast(ModelFile, SimpleNamespace(path=path, metadata=metadata))
    family, config = read_hyperparameters(file)
    sizes = {
        name: spec.shape
        for name, spec in family.tensors(config).items()
        if _is_there(shape, config, name, spec)
    }
    for whole in shape.joined:
        sizes = _joined(sizes, whole, _PARTS[whole])
    model = model_shape(metadata, sizes)
    floats = GGMLType.F32
    return [
        NewTensor(name, tensor_type(file_type, model, name, size, floats), size)
        for name, size in sizes.items()
    ]


def _joined(sizes: Sizes, whole: str, parts: tuple[str, ...]) -> Sizes:
    """Put several matrices of a layer, and their biases, into one: row below row."""
    made: Sizes = {}
    for name, (n_rows, *rest) in sizes.items():
        *layer, matrix, suffix = name.split(".")
        if matrix in parts:
            name = ".".join([*layer, whole, suffix])
            n_rows += made[name][0] if name in made else 0
        made[name] = n_rows, *rest
    return made


def _is_there(shape: Shape, config: ModelConfig, name: str, spec: TensorSpec) -> bool:
    if spec.is_required or name.endswith(shape.optional or ("none",)):
        return True
    _, number, *_ = f"{name}..".split(".")
    if not number.isdecimal() or not name.endswith(shape.optional_in_windows or "none"):
        return False
    return config.layers[int(number)].mixer.window is not None


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
