"""Opening a model, whatever format it is in: the one place that tells them apart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llamacy.architectures.tensors import select_tensors
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.hugging_face import open_hugging_face
from llamacy.formats.model_file import ModelFile
from llamacy.formats.requantized import RequantizedFile
from llamacy.ggml.file_types import FileType, find_file_type
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.tokenizers.hugging_face import read_tokenizer_files


@contextmanager
def open_model_as(
    path: Path, file_type: FileType | str | None, n_threads: int = 1
) -> Iterator[ModelFile]:
    """Open a model, with its weights in another type unless `file_type` is None.

    Parameters
    ----------
    file_type : it, or its name.
    n_threads : threads that quantise what is read.

    Raises
    ------
    ArgumentError : there is no such type.
    LlamacyError : what `open_model` raises.
    """
    if isinstance(file_type, str):
        file_type = find_file_type(file_type)
    with open_model(path) as file:
        if file_type is None:
            yield file
            return
        with RequantizedFile(file, file_type, n_threads) as requantized:
            yield requantized


def open_model(path: Path) -> ModelFile:
    """Open a GGUF file, or a Hugging Face folder with safetensors.

    Raises
    ------
    ModelFileError : a file is missing, or cannot be read.
    FormatError : a file is broken, or of no format known here.
    UnsupportedError : something in it is not known here.
    """
    if not os.path.isdir(path):
        return open_gguf(path)
    file = open_hugging_face(path, read_tokenizer_files)
    try:
        # here rather than later: what is converted is to be a model too
        architecture, config = read_hyperparameters(file)
        select_tensors(architecture.tensors(config), file.tensors, str(path))
    except BaseException:
        file.close()
        raise
    return file
