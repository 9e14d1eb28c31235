"""An open file's model: its family, and its configuration."""

from __future__ import annotations

from typing import Final

from llamacy.architectures import find_architecture
from llamacy.architectures.architecture import Architecture
from llamacy.config import ModelConfig
from llamacy.errors import FormatError
from llamacy.formats.gguf.config import read_architecture, read_config
from llamacy.formats.model_file import ModelFile

_TAKEN_BY: Final = {
    "adapter": "a model, which lora= or --lora gives the adapter",
    "imatrix": "a model, for which quantize takes imatrix= or --imatrix",
}
"""The model that is wanted in place of another GGUF file, by its `general.type`."""


def read_hyperparameters(file: ModelFile) -> tuple[Architecture, ModelConfig]:
    """Find a file's family, and read its configuration, which the family completes.

    Parameters
    ----------
    file : ModelFile
        Open, or closed already: only its metadata are needed.

    Raises
    ------
    FormatError
        A key is missing or wrong, or a mixture of experts has none.
    UnsupportedError
        An unknown family, or something in the metadata that llamacy does not support.
    """
    path = str(file.path)
    # first, so that the error for an unknown family is not about one of its keys
    architecture = find_architecture(family_name(file), path)
    return architecture, architecture.complete(read_config(file), path)


def family_name(file: ModelFile) -> str:
    """Read the name of a model's family.

    Raises
    ------
    FormatError
        The file is an adapter or an importance matrix, or it does not say.
    """
    kind = file.metadata.get("general.type")
    if isinstance(kind, str) and kind in _TAKEN_BY:
        raise FormatError(str(file.path), "general.type", _TAKEN_BY[kind], kind)
    return read_architecture(file)
