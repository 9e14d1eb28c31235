"""Hugging Face's folders, config.json and safetensors, presented as GGUF files.

`family` describes a model family, and `families` lists the supported ones. `config`,
`rope`, `settings` and `mixture` translate config.json to GGUF's metadata, and
`generation` generation_config.json; `tensors` and `experts` translate the weights, by
the names in `tensor_names`. `quantization` reads how weights are quantised, and
`quantized`, with `quantized_codes` and `quantized_forms`, puts such weights together.
The vocabulary is read by `llamacy.tokenizers.hugging_face`.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final, Self

from llamacy.errors import FormatError, ModelFileError
from llamacy.formats.hugging_face.config import read_config
from llamacy.formats.hugging_face.generation import add_generation
from llamacy.formats.hugging_face.quantized import unpacked
from llamacy.formats.hugging_face.sentence_transformers import read_modules
from llamacy.formats.hugging_face.tensors import translate
from llamacy.formats.json_text import JsonObject, read_json
from llamacy.formats.metadata import Metadata
from llamacy.formats.model_file import ModelTensor, fingerprint
from llamacy.formats.safetensors.folder import open_safetensors
from llamacy.ggml.types import QUANTIZATION_VERSION, GGMLType

__all__ = ["CONFIG", "HuggingFaceFolder", "open_hugging_face"]

CONFIG: Final = "config.json"
_N_NAMED: Final = 3  # files named in an error

# file types, as `general.file_type` numbers them, by the type of most weights
_FILE_TYPES: Final = {
    GGMLType.F32: 0,
    GGMLType.F16: 1,
    GGMLType.BF16: 32,
    GGMLType.Q4_0: 2,
    GGMLType.Q8_0: 7,
    GGMLType.MXFP4: 38,
}


class HuggingFaceFolder:
    """An open folder, as `open_hugging_face` returns it.

    The attributes are those of `llamacy.formats.gguf.file.GGUFFile`, with the values
    that a GGUF file of the same model would have.
    """

    format = "safetensors"

    def __init__(
        self,
        path: Path,
        paths: tuple[Path, ...],
        metadata: Metadata,
        tensors: Mapping[str, ModelTensor],
        opened: ExitStack,
    ) -> None:
        self.path = path
        self.paths: tuple[Path, ...] = (path / CONFIG, *paths)
        self.metadata: dict[str, Any] = metadata.values
        self.value_types: dict[str, int] = metadata.types
        self.tensors = tensors
        self._opened = opened

    def fingerprint(self) -> str:
        """Return a digest of settings and weights, which differs between models."""
        return fingerprint(self.metadata, self.tensors.values())

    def close(self) -> None:
        """Unmap the weights; arrays already taken from tensors stay valid."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<HuggingFaceFolder {str(self.path)!r}: {len(self.tensors)} tensors>"


def open_hugging_face(
    folder: Path, vocabulary: Callable[[Path], Metadata | None] | None = None
) -> HuggingFaceFolder:
    """Open a folder.

    Parameters
    ----------
    folder : Path
        The folder.
    vocabulary : callable, optional
        Reads the metadata of a folder's vocabulary; returns None if there is none.

    Raises
    ------
    ModelFileError
        A file is missing, or cannot be read.
    FormatError
        There is no config.json, a file is broken, or files contradict each other.
    UnsupportedError
        A setting in config.json or a tensor is not supported.
    """
    config = read_config(_read_settings(folder), _name(folder))
    with ExitStack() as opened:
        files = opened.enter_context(closing(open_safetensors(folder)))
        stored = {**files.tensors, **files.bytes}
        whole = unpacked(stored, config.quantization, folder)
        tensors = translate(whole, config, folder)
        metadata = config.metadata
        added = vocabulary(folder) if vocabulary is not None else None
        if added is not None:
            metadata.update(added)
        add_generation(folder, metadata)
        family = config.family.architecture
        tensors |= read_modules(folder, family, metadata, opened)
        metadata.integer("general.file_type", _file_type(tensors))
        if any(tensor.type.block_size > 1 for tensor in tensors.values()):
            metadata.integer("general.quantization_version", QUANTIZATION_VERSION)
        opened = opened.pop_all()
    return HuggingFaceFolder(folder, files.paths, metadata, tensors, opened)


def _name(folder: Path) -> str:
    """Name the model after its folder or, in the hub's cache, its repository."""
    path = Path(os.path.abspath(folder))
    repository = path.parent.parent.name
    if path.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.rpartition("--")[2]
    return path.name


def _read_settings(folder: Path) -> JsonObject:
    try:
        return read_json(folder / CONFIG)
    except ModelFileError as error:
        if error.errno != errno.ENOENT:
            raise
    # a likely mistake: the path of a folder with GGUF files
    names = sorted(each.name for each in folder.glob("*.gguf"))
    found = ", ".join(names[:_N_NAMED]) or f"no {CONFIG}"
    wanted = f"{CONFIG} and safetensors, or the path of a GGUF file"
    if (folder / "adapter_config.json").exists():
        found = "a LoRA adapter, which lora= or --lora gives to its model"
    raise FormatError(folder, "folder", wanted, found)


def _file_type(tensors: Mapping[str, ModelTensor]) -> int:
    """Return the number of the file type, which the type of most weights decides."""
    weights = dict.fromkeys(_FILE_TYPES, 0)
    for tensor in tensors.values():
        if len(tensor.shape) > 1:
            weights[tensor.type] += math.prod(tensor.shape)
    return _FILE_TYPES[max(weights, key=lambda each: weights[each])]
