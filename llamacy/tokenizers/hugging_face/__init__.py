"""Hugging Face's tokenizer files, as the metadata of a GGUF file would have them.

A folder has `tokenizer.json` (:mod:`.tokenizer_json`), which is byte-level BPE
or a SentencePiece vocabulary turned into BPE (:mod:`.merged`), or
`tokenizer.model`, SentencePiece's own (:mod:`.sentencepiece_file`), or both. Added and
special tokens and the chat template (:mod:`.special`) come from files beside them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject, read_json
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.hugging_face.sentencepiece_file import read_model
from llamacy.tokenizers.hugging_face.special import Special
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.hugging_face.tokenizer_json import (
    is_byte_level,
    read_tokenizer_json,
)

__all__ = ["read_tokenizer_files"]

_JSON: Final = "tokenizer.json"
_SENTENCEPIECE: Final = "tokenizer.model"
_SETTINGS: Final = "tokenizer_config.json"
_SPECIAL_TOKENS: Final = "special_tokens_map.json"  # of older folders
_ADDED_TOKENS: Final = "added_tokens.json"  # of older folders
_CONFIG: Final = "config.json"
_ID: Final = re.compile("[0-9]{1,7}")


def read_tokenizer_files(folder: Path) -> Metadata | None:
    """Read a folder's vocabulary: the keys ``tokenizer.*``.

    Returns
    -------
    None if the folder has none.

    Raises
    ------
    ModelFileError : a file cannot be read.
    FormatError : a file is broken, or does not go with another.
    UnsupportedError : a kind of vocabulary, or a way of cutting text into words, that
        is not known here.
    """
    whole = _read(folder, _JSON)
    metadata = Metadata()
    # The other file has the scores; but where it is byte-level BPE, it is no
    # SentencePiece file, whatever it is.
    has_model = os.path.exists(folder / _SENTENCEPIECE)
    if has_model and not (whole and is_byte_level(whole)):
        tokens = read_model(folder / _SENTENCEPIECE, metadata)
    elif whole:
        tokens = read_tokenizer_json(whole, metadata)
    else:
        return None
    settings = _read(folder, _SETTINGS) or JsonObject(folder / _SETTINGS, {})
    config = _read(folder, _CONFIG) or JsonObject(folder / _CONFIG, {})
    _add_tokens(tokens, whole, settings, _read(folder, _ADDED_TOKENS))
    has_size = "vocab_size" in config
    tokens.fit(config.integer("vocab_size", 1, MAX_VOCAB) if has_size else None)
    tokens.add_to(metadata)
    special = Special(settings, _read(folder, _SPECIAL_TOKENS), config, whole)
    special.add_to(metadata, tokens)
    special.add_template(folder, metadata)
    return metadata


def _read(folder: Path, name: str) -> JsonObject | None:
    path = folder / name
    return read_json(path) if os.path.exists(path) else None


def _add_tokens(
    tokens: TokenList,
    whole: JsonObject | None,
    settings: JsonObject,
    older: JsonObject | None,
) -> None:
    """Add the tokens that were put beside the vocabulary: three places, by age."""
    if older is not None:
        for text in older.values:
            i = older.integer(text, 0, MAX_VOCAB - 1)
            tokens.add(i, text, is_special=False)
    listed = settings.child("added_tokens_decoder")
    if listed is not None:
        for key in listed.values:
            entry = listed.child(key)
            if entry is None or not _ID.fullmatch(key):
                listed.fail(key[:80], "an object, by an id", "something else")
            tokens.add_entry(entry, int(key))
    if whole is not None:
        for entry in whole.children("added_tokens"):
            tokens.add_entry(entry, entry.integer("id", 0, MAX_VOCAB - 1))
