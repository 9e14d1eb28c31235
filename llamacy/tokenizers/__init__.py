"""Text to token ids and back, from a vocabulary's GGUF metadata alone.

Two families: SentencePiece (``tokenizer.ggml.model == "llama"``, :mod:`.spm`) and
byte-level BPE (``"gpt2"``, :mod:`.bpe`). What both share is in :mod:`.base`. Hugging
Face's files are turned into GGUF metadata first (:mod:`.hugging_face`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from llamacy.errors import FormatError, UnsupportedError, shown
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.bpe import BPETokenizer
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.spm import SPMTokenizer

__all__ = ["TOKENIZERS", "Tokenizer", "tokenizer_from_metadata"]

TOKENIZERS = {"gpt2": BPETokenizer, "llama": SPMTokenizer}
"""Families by their name in ``tokenizer.ggml.model``."""

_MODEL = "tokenizer.ggml.model"


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
