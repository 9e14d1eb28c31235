"""What a model is, of an open file: its family, and its configuration."""

from __future__ import annotations

from llamacy.architectures import find_architecture
from llamacy.architectures.architecture import Architecture
from llamacy.config import ModelConfig
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
    # first, so that the error for an unknown family is not about one of its keys
    architecture = find_architecture(read_architecture(file), path)
    return architecture, architecture.complete(read_config(file), path)
