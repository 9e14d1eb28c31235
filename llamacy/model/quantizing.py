"""Weights that are quantised while they are loaded."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from llamacy.architectures import find_architecture
from llamacy.architectures.tensors import mapped_names
from llamacy.config import ModelConfig
from llamacy.formats.expert_tensors import usual_experts
from llamacy.formats.model_file import ModelFile
from llamacy.ggml.file_types import FileType


def quantized(
    file: ModelFile, config: ModelConfig, file_type: FileType | None, n_threads: int
) -> AbstractContextManager[ModelFile]:
    """Return what quantises a file's tensors as they are read, to be closed.

    Tensors that are left in the file stay as they are.

    Parameters
    ----------
    file : ModelFile
        The file, which stays open.
    config : ModelConfig
        Its hyperparameters.
    file_type : FileType or None
        The type to quantise to; None for the file as it is.
    n_threads : int
        Threads to quantise with.
    """
    if file_type is None:
        return nullcontext(file)
    # imported late: a file that stays as it is loads sooner
    from llamacy.formats.requantized import RequantizedFile

    architecture = find_architecture(config.architecture, str(file.path))
    mapped = mapped_names(architecture.tensors(config))
    usual = usual_experts(file.tensors, file.path)
    return RequantizedFile(file, file_type, n_threads, usual, kept=mapped)
