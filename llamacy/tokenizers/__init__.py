"""Text to token ids and back, from a vocabulary's GGUF metadata alone.

Two families: SentencePiece (``tokenizer.ggml.model == "llama"``, :mod:`.spm`) and
byte-level BPE (``"gpt2"``, :mod:`.bpe`). What both share is in :mod:`.base`. Hugging
Face's files are turned into GGUF metadata first (:mod:`.hugging_face`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.cursor import shown
from llamacy.formats.gguf import open_gguf
from llamacy.sources import locate
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.bpe import BPETokenizer
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.hugging_face import read_tokenizer_files
from llamacy.tokenizers.spm import SPMTokenizer

__all__ = ["TOKENIZERS", "Tokenizer", "load_tokenizer", "tokenizer_from_metadata"]

TOKENIZERS = {"gpt2": BPETokenizer, "llama": SPMTokenizer}
"""Families by their name in ``tokenizer.ggml.model``."""

_MODEL = "tokenizer.ggml.model"


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


def tokenizer_from_metadata(metadata: Mapping[str, Any], path: str) -> Tokenizer:
    """Build the tokenizer that GGUF metadata describe.

    Parameters
    ----------
    metadata : keys and values; arrays are lists or one-dimensional NumPy arrays.
    path : the file they come from, to be named in errors.

    Raises
    ------
    FormatError : a value is missing, of a wrong type, or at odds with another.
    UnsupportedError : the kind of tokenizer or pre-tokenizer is unknown.
    """
    if not metadata.get(_MODEL) and os.path.isdir(path):
        wanted = "tokenizer.json or tokenizer.model, to read and write text"
        raise FormatError(path, "folder", wanted, "neither")
    fields = Fields(metadata, path)
    model = fields.text(_MODEL)
    if model not in TOKENIZERS:
        known = f"one of {', '.join(sorted(TOKENIZERS))}"
        raise UnsupportedError(path, _MODEL, known, shown(model))
    return TOKENIZERS[model](fields)
