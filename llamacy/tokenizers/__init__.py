"""Tokenizers: text to token ids and back, from a vocabulary's GGUF metadata alone.

There are five families: SentencePiece (`tokenizer.ggml.model == "llama"`, in `spm`),
byte-level BPE (`"gpt2"`, in `bpe`), BPE on characters (`"gemma4"`, in `character_bpe`),
WordPiece (`"bert"`, in `wordpiece`) and Unigram (`"t5"`, in `unigram`), with a common
base class in `base`. Hugging Face's files are first translated to GGUF metadata
(`hugging_face`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from llamacy.errors import FormatError, UnsupportedError
from llamacy.printable import shown
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.bpe import BPETokenizer
from llamacy.tokenizers.character_bpe import (
    CharacterBPETokenizer,
    WhitespaceTokenizer,
)
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.gguf_keys import check_keys
from llamacy.tokenizers.pretokenizers import CHARACTER_PRES
from llamacy.tokenizers.spm import SPMTokenizer
from llamacy.tokenizers.unigram import UnigramTokenizer
from llamacy.tokenizers.wordpiece import WordPieceTokenizer

__all__ = ["TOKENIZERS", "Tokenizer", "tokenizer_from_metadata"]

_MODEL = "tokenizer.ggml.model"
_PRE = "tokenizer.ggml.pre"


def _gpt2(fields: Fields) -> Tokenizer:
    """Build the tokenizer that GGUF names after GPT-2: BPE on bytes or characters."""
    if fields.text_or_none(_PRE) in CHARACTER_PRES:
        return CharacterBPETokenizer(fields)
    return BPETokenizer(fields)


TOKENIZERS: Final[Mapping[str, Callable[[Fields], Tokenizer]]] = {
    "bert": WordPieceTokenizer,
    "gemma4": CharacterBPETokenizer,
    "gpt2": _gpt2,
    "llama": SPMTokenizer,
    "t5": UnigramTokenizer,
    "whitespace": WhitespaceTokenizer,
}
"""Families by their names in `tokenizer.ggml.model`."""


def tokenizer_from_metadata(metadata: Mapping[str, Any], path: str) -> Tokenizer:
    """Build the tokenizer that GGUF metadata describe.

    Parameters
    ----------
    metadata : Mapping of str to Any
        Keys and values; arrays are lists or one-dimensional NumPy arrays.
    path : str
        The file or folder they come from, for errors.

    Raises
    ------
    FormatError
        A value is missing, of a wrong type, or contradicts another.
    UnsupportedError
        The family or the pre-tokenizer is unknown.
    """
    if os.path.isdir(path) and not metadata.get(_MODEL):
        wanted = "tokenizer.json or tokenizer.model, to read and write text"
        raise FormatError(path, "folder", wanted, "neither")
    fields = Fields(metadata, path)
    model = fields.text(_MODEL)
    if model not in TOKENIZERS:
        known = f"one of {', '.join(sorted(TOKENIZERS))}"
        raise UnsupportedError(path, _MODEL, known, shown(model))
    check_keys(fields)
    return TOKENIZERS[model](fields)
