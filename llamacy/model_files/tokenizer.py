"""The tokenizer of a model, without its weights: `load_tokenizer`."""

from __future__ import annotations

import os

from llamacy.arguments import checks_options
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.hugging_face.generation import add_generation
from llamacy.formats.metadata import Metadata
from llamacy.model_files.sources import locate
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.hugging_face import read_tokenizer_files


@checks_options()
def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Read the tokenizer of a model, and not its weights.

    Count tokens or prepare data without the memory of a model. The architecture does
    not matter, nor whether the file holds any weights: this works for models that
    llamacy cannot run.

    Parameters
    ----------
    path : str or os.PathLike
        A GGUF file, or any part of a split one; a folder with tokenizer.json or
        tokenizer.model; a name on the hub, as for `llamacy.load`; or ``"demo"``.

    Returns
    -------
    Tokenizer
        Text to token ids and back.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    FormatError
        It is broken, or has no tokenizer.
    UnsupportedError
        Its tokenizer is of an unknown kind.

    Examples
    --------
    >>> tokenizer = llamacy.load_tokenizer("demo")
    >>> ids = tokenizer.encode("Hello world")
    >>> [tokenizer.piece(token) for token in ids]
    ['<s>', 'Hello', '▁world']
    """
    found = locate(path)
    if os.path.isdir(found):
        vocabulary = read_tokenizer_files(found) or Metadata()
        add_generation(found, vocabulary)  # names end tokens
        return tokenizer_from_metadata(vocabulary.values, str(found))
    with open_gguf(found, metadata_only=True) as file:
        return tokenizer_from_metadata(file.metadata, str(file.path))
