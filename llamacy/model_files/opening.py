"""Opens a model of any format: the only place that distinguishes formats."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llamacy.architectures.selecting import select_tensors
from llamacy.architectures.tensors import mapped_names
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.model_file import ModelFile
from llamacy.ggml.file_types import FileType, find_file_type
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.missing import UNFINISHED


@contextmanager
def open_model_as(
    path: Path, file_type: FileType | str | None, n_threads: int = 1
) -> Iterator[ModelFile]:
    """Open a model, and optionally present its weights in another type.

    Parameters
    ----------
    path : Path
        A GGUF file, or a Hugging Face folder.
    file_type : FileType or str or None
        The file type, or its name; None leaves the weights as they are.
    n_threads : int
        Number of threads that quantise on access.

    Yields
    ------
    ModelFile
        The open model.

    Raises
    ------
    ArgumentError
        The file type is unknown.
    ModelFileError
        As for `open_model`.
    FormatError
        As for `open_model`.
    """
    if isinstance(file_type, str):
        file_type = find_file_type(file_type)
    with open_model(path) as file:
        if file_type is None:
            yield file
            return
        # imported late, as below: a GGUF file that stays as it is loads sooner
        from llamacy.formats.requantized import RequantizedFile

        architecture, config = read_hyperparameters(file)
        kept = mapped_names(architecture.tensors(config))
        with RequantizedFile(file, file_type, n_threads, kept=kept) as requantized:
            yield requantized


def open_model(path: Path) -> ModelFile:
    """Open a GGUF file, or a Hugging Face folder with safetensors.

    Raises
    ------
    ModelFileError
        A file is missing, or cannot be read.
    FormatError
        A file is broken, or of an unknown format.
    UnsupportedError
        The model needs a feature that llamacy does not have.
    """
    if not os.path.isdir(path):
        return _open_file(path)
    from llamacy.formats.hugging_face import open_hugging_face
    from llamacy.tokenizers.hugging_face import read_tokenizer_files

    file = open_hugging_face(path, read_tokenizer_files)
    try:
        # check now rather than in `load`: conversions must give a valid model too
        architecture, config = read_hyperparameters(file)
        select_tensors(architecture.tensors(config), file.tensors, str(path))
    except BaseException:
        file.close()
        raise
    return file


def _open_file(path: Path) -> ModelFile:
    """Open a GGUF file; if it is broken, say so if its name tells why."""
    try:
        return open_gguf(path)
    except FormatError as error:
        if path.suffix.lower() not in UNFINISHED:
            raise
        found = f"{error.found}: {path.suffix} marks an unfinished download"
        raise FormatError(path, error.field, error.wanted, found) from None
