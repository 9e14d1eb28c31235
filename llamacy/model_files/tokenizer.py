"""The tokenizer of a model, without its weights: `load_tokenizer`."""

from __future__ import annotations

import os

from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.sources import locate
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.hugging_face import read_tokenizer_files


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Read the tokenizer of a GGUF file, or of a folder as Hugging Face has them.

    The architecture does not matter, nor whether the file holds any weights.

    Parameters
    ----------
    path : a GGUF file, or any part of a split one; a name on the hub, as for
        :func:`llamacy.load`; ``"demo"``, the bundled one; a folder with
        tokenizer.json or tokenizer.model.

    Raises
    ------
    ModelFileError : the file cannot be read.
    FormatError : it is broken, or has no tokenizer.
    UnsupportedError : its tokenizer is of an unknown kind.

    Examples
    --------
    >>> tokenizer = load_tokenizer("llama-2-7b.Q4_0.gguf")  # doctest: +SKIP
    >>> tokenizer.encode("Hello world")  # doctest: +SKIP
    [1, 15043, 3186]
    """
    found = locate(path)
    if os.path.isdir(found):
        vocabulary = read_tokenizer_files(found)
        return tokenizer_from_metadata(
            {} if vocabulary is None else vocabulary.values, str(found)
        )
    with open_gguf(found, metadata_only=True) as file:
        return tokenizer_from_metadata(file.metadata, str(file.path))
