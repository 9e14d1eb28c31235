"""Translates Hugging Face's tokenizer files to GGUF metadata.

A folder has `tokenizer.json` (read by `tokenizer_json`), which holds byte-level BPE, a
SentencePiece vocabulary converted to BPE (`merged`), WordPiece (`word_pieces`) or
Unigram (`unigram_model`); or `tokenizer.model`, SentencePiece's own file
(`sentencepiece_file`); or both. Folders of encoders may have a `vocab.txt`
(`word_pieces`), or SentencePiece's file under another name (`fairseq`). Added tokens,
special tokens and the chat template come from further files (`special`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject, read_json
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.hugging_face.fairseq import (
    FAIRSEQ_FILE,
    T5_FILE,
    read_encoder_model,
)
from llamacy.tokenizers.hugging_face.processor import Around
from llamacy.tokenizers.hugging_face.sentencepiece_file import read_model
from llamacy.tokenizers.hugging_face.settings import check_settings, override_prefix
from llamacy.tokenizers.hugging_face.spaces import keep_word_marks
from llamacy.tokenizers.hugging_face.special import ENCODERS, Special
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.hugging_face.tokenizer_json import (
    check_added,
    is_byte_level,
    keeps_merges,
    model_kind,
    read_tokenizer_json,
)
from llamacy.tokenizers.hugging_face.word_pieces import VOCAB_TXT, read_vocab_txt

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
    is_encoder = whole is not None and model_kind(whole) in ("WordPiece", "Unigram")
    has_model = os.path.exists(folder / _SENTENCEPIECE) and not has_merges
    has_model = has_model and not is_encoder
    around = None
    if has_model and not (whole and is_byte_level(whole)):
        tokens = read_model(folder / _SENTENCEPIECE, metadata)
    elif whole:
        tokens = read_tokenizer_json(whole, metadata, keeps_merges=has_merges)
        check_added(whole, tokens)
        tokens.keep_texts()
    else:
        found = _read_encoder(folder, settings, config, metadata)
        if found is None:
            return None
        tokens, around = found
    if has_model:
        override_prefix(settings, metadata)
        if whole is not None:
            keep_word_marks(whole, metadata)
    _add_tokens(tokens, whole, settings, _read(folder, _ADDED_TOKENS))
    has_size = "vocab_size" in config
    tokens.fit(config.integer("vocab_size", 1, MAX_VOCAB) if has_size else None)
    tokens.add_to(metadata, is_normalized=whole is not None)
    special = Special(settings, _read(folder, _SPECIAL_TOKENS), config, whole)
    special.add_to(metadata, tokens, around)
    if metadata.values["tokenizer.ggml.model"] in ENCODERS:
        tokens.check_plain(settings)
    check_settings(settings, metadata)
    special.add_template(folder, metadata)
    return metadata


def _read_encoder(
    folder: Path, settings: JsonObject, config: JsonObject, metadata: Metadata
) -> tuple[TokenList, Around] | None:
    """Read the vocabulary of an encoder without a tokenizer.json, if there is one."""
    for name in (FAIRSEQ_FILE, T5_FILE):
        if os.path.exists(folder / name):
            return read_encoder_model(folder / name, settings, config, metadata)
    if os.path.exists(folder / VOCAB_TXT):
        older = _read(folder, _SPECIAL_TOKENS)
        return read_vocab_txt(folder, settings, older, metadata)
    return None


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
