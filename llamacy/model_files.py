"""Opening a model, whatever format it is in: the one place that tells them apart."""

from __future__ import annotations

import os
from pathlib import Path

from llamacy.formats.gguf import open_gguf
from llamacy.formats.hugging_face import open_hugging_face
from llamacy.formats.model_file import ModelFile
from llamacy.tokenizers.hugging_face import read_tokenizer_files


def open_model(path: Path) -> ModelFile:
    """Open a GGUF file, or a Hugging Face folder with safetensors.

    Raises
    ------
    ModelFileError : a file is missing, or cannot be read.
    FormatError : a file is broken, or of no format known here.
    UnsupportedError : something in it is not known here.
    """
    if os.path.isdir(path):
        return open_hugging_face(path, read_tokenizer_files)
    return open_gguf(path)
