"""Translates Hugging Face's tokenizer files to GGUF metadata.

A folder has `tokenizer.json` (read by `tokenizer_json`), which holds byte-level BPE or
a SentencePiece vocabulary converted to BPE (`merged`); or `tokenizer.model`,
SentencePiece's own file (`sentencepiece_file`); or both. Added tokens, special tokens
and the chat template come from further files (`special`).
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
from llamacy.tokenizers.hugging_face.settings import check_settings, override_prefix
from llamacy.tokenizers.hugging_face.spaces import keep_word_marks
from llamacy.tokenizers.hugging_face.special import Special
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.hugging_face.tokenizer_json import (
    check_added,
    is_byte_level,
    keeps_merges,
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
    """Read a folder's vocabulary.

    Returns
    -------
    Metadata or None
        The keys `tokenizer.*`; None if the folder has no vocabulary.

    Raises
    ------
    ModelFileError
        A file cannot be read.
    FormatError
        A file is broken, or contradicts another.
    UnsupportedError
        The kind of vocabulary or its pre-tokenizer is not supported.
    """
    whole = _read(folder, _JSON)
    settings = _read(folder, _SETTINGS) or JsonObject(folder / _SETTINGS, {})
    metadata = Metadata()
    # Prefer tokenizer.model, which has the scores, unless tokenizer.json is byte-level
    # BPE: then tokenizer.model cannot be SentencePiece's.
    config = _read(folder, _CONFIG) or JsonObject(folder / _CONFIG, {})
    has_merges = whole is not None and keeps_merges(config)
    has_model = os.path.exists(folder / _SENTENCEPIECE) and not has_merges
    if has_model and not (whole and is_byte_level(whole)):
        tokens = read_model(folder / _SENTENCEPIECE, metadata)
    elif whole:
        tokens = read_tokenizer_json(whole, metadata, keeps_merges=has_merges)
        check_added(whole, tokens)
        tokens.keep_texts()
    else:
        return None
    if has_model:
        override_prefix(settings, metadata)
        if whole is not None:
            keep_word_marks(whole, metadata)
    _add_tokens(tokens, whole, settings, _read(folder, _ADDED_TOKENS))
    has_size = "vocab_size" in config
    tokens.fit(config.integer("vocab_size", 1, MAX_VOCAB) if has_size else None)
    tokens.add_to(metadata, is_normalized=whole is not None)
    special = Special(settings, _read(folder, _SPECIAL_TOKENS), config, whole)
    special.add_to(metadata, tokens)
    check_settings(settings)
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
    """Add the tokens listed outside the vocabulary, in three places.

    Where they differ, tokenizer.json has the texts and tokenizer_config.json the
    attributes, as in the transformers library.
    """
    if older is not None:
        for text in older.values:
            i = older.integer(text, 0, MAX_VOCAB - 1)
            tokens.add(i, text, is_special=False, source=older)
    if whole is not None:
        for added in whole.children("added_tokens"):
            tokens.add_entry(added, added.integer("id", 0, MAX_VOCAB - 1))
        tokens.fix_texts(added.get("id") for added in whole.children("added_tokens"))
    listed = settings.child("added_tokens_decoder")
    if listed is not None:
        for key in listed.values:
            entry = listed.child(key)
            if entry is None or not _ID.fullmatch(key):
                listed.fail(key[:80], "an object, by an id", "something else")
            tokens.add_entry(entry, int(key))
