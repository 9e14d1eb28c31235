"""Opening a model, whatever format it is in: the one place that tells them apart."""

from __future__ import annotations

import os
from pathlib import Path

from llamacy.architectures import find_architecture
from llamacy.architectures.weights import select_tensors
from llamacy.formats.gguf import open_gguf
from llamacy.formats.gguf_config import read_architecture, read_config
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
    if not os.path.isdir(path):
        return open_gguf(path)
    file = open_hugging_face(path, read_tokenizer_files)
    try:
        # here rather than later: what is converted is to be a model too
        architecture = find_architecture(read_architecture(file), str(path))
        specs = architecture.tensors(read_config(file))
        select_tensors(specs, file.tensors, str(path))
    except BaseException:
        file.close()
        raise
    return file
