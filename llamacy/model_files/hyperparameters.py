"""An open file's model: its family, and its configuration."""

from __future__ import annotations

from llamacy.architectures import find_architecture
from llamacy.architectures.architecture import Architecture
from llamacy.config import ModelConfig
from llamacy.errors import FormatError
from llamacy.formats.gguf.config import read_architecture, read_config
from llamacy.formats.model_file import ModelFile


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
    if file.metadata.get("general.type") == "adapter":
        wanted = "a model, which lora= or --lora gives the adapter"
        raise FormatError(path, "general.type", wanted, "adapter")
    # first, so that the error for an unknown family is not about one of its keys
    architecture = find_architecture(read_architecture(file), path)
    return architecture, architecture.complete(read_config(file), path)
