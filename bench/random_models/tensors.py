"""The tensors of a shape: those that its family has in llamacy."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

from random_models.shape import Shape

from llamacy.architectures.tensors import TensorSpec
from llamacy.config import ModelConfig
from llamacy.formats.gguf.writer import NewTensor
from llamacy.formats.model_file import ModelFile
from llamacy.formats.recipes import model_shape, tensor_type
from llamacy.ggml.file_types import FileType
from llamacy.ggml.types import GGMLType
from llamacy.model_files.hyperparameters import read_hyperparameters

Sizes = dict[str, tuple[int, ...]]

_PARTS: Final = {
    "attn_qkv": ("attn_q", "attn_k", "attn_v"),
    "ffn_up": ("ffn_gate", "ffn_up"),
}


def tensors_of(
    shape: Shape, metadata: dict[str, Any], file_type: FileType
) -> list[NewTensor]:
    """List the tensors that the family asks for, in the types of the recipe.

    Parameters
    ----------
    shape : Shape
        The model.
    metadata : dict of str to Any
        Its metadata.
    file_type : FileType
        The recipe.

    Raises
    ------
    FormatError
        No such model can be.
    """
    path = Path(shape.architecture)  # for errors
    last = metadata[f"{shape.architecture}.block_count"] - 1
    names = [f"blk.{last}.nextn.eh_proj.weight"] if shape.has_mtp else []
    parts = {"path": path, "metadata": metadata, "tensors": names}
    family, config = read_hyperparameters(cast(ModelFile, SimpleNamespace(**parts)))
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
    if spec.is_required or name.endswith(shape.optional):
        return True
    _, number, *_ = f"{name}..".split(".")
    if not number.isdecimal() or not name.endswith(shape.optional_in_windows):
        return False
    return config.layers[int(number)].attention.window is not None
