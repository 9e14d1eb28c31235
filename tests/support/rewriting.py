"""Writes a GGUF file anew with the package gguf: with more tensors, or otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf.file import open_gguf
from llamacy.ggml.types import GGMLType


def rewrite(
    source: Path,
    target: Path,
    tensors: Mapping[str, NDArray[np.float32]] | None = None,
    keys: Mapping[str, int] | None = None,
    texts: Mapping[str, list[str]] | None = None,
    **options: Any,
) -> Path:
    """Copy a file.

    Parameters
    ----------
    source, target : Path
        The file, and the new one.
    tensors : mapping of str to float32 array, optional
        More tensors.
    keys : mapping of str to int, optional
        More keys, uint32.
    texts : mapping of str to list of str, optional
        More keys, arrays of strings.
    **options : Any
        Of `gguf.GGUFWriter`.
    """
    with open_gguf(source) as file:
        name = file.metadata["general.architecture"]
        writer = gguf.GGUFWriter(target, name, **options)
        for key, value in file.metadata.items():
            if key != "general.architecture":
                _add(writer, key, value, gguf.GGUFValueType(file.value_types[key]))
        for key, number in (keys or {}).items():
            _add(writer, key, number, gguf.GGUFValueType.UINT32)
            if key == "general.alignment":
                writer.data_alignment = number
        for key, strings in (texts or {}).items():
            _add(writer, key, strings, gguf.GGUFValueType.STRING)
        for name, tensor in file.tensors.items():
            blocks: NDArray[Any] = tensor.data.reshape(*tensor.shape[:-1], -1)
            if tensor.type is GGMLType.F32:
                blocks = tensor.dequantize()
            raw = gguf.GGMLQuantizationType(tensor.type)
            writer.add_tensor(name, blocks.copy(), raw_dtype=raw)
        for name, values in (tensors or {}).items():
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _add(writer: gguf.GGUFWriter, key: str, value: Any, kind: Any) -> None:
    if isinstance(value, list | np.ndarray):
        array = gguf.GGUFValueType.ARRAY
        writer.add_key_value(key, list(value), array, sub_type=kind)
    else:
        writer.add_key_value(key, value, kind)
