"""Reads WordPiece vocabularies: a tokenizer.json's, or a vocab.txt."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from llamacy.errors import FormatError
from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.attributes import PIPELINE_KEY
from llamacy.tokenizers.hugging_face.bpe_model import read_texts
from llamacy.tokenizers.hugging_face.processor import Around
from llamacy.tokenizers.hugging_face.steps import steps
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.pipeline import Pipeline, pipeline_values
from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import SPACE

VOCAB_TXT: Final = "vocab.txt"

_PREFIX: Final = "##"  # begins tokens that continue a word
_MAX_BYTES: Final = 1 << 26
_NORMALIZER: Final = "tokenizer.ggml.normalizer."
_CLASSES: Final = frozenset(
    "BertTokenizer BertTokenizerFast DistilBertTokenizer DistilBertTokenizerFast "
    "ElectraTokenizer ElectraTokenizerFast".split()
)
_SPECIAL: Final = {  # defaults of these classes
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
_GGUF_NAMES: Final = {
    "unk_token": "unknown",
    "pad_token": "padding",
    "mask_token": "mask",
}


def read_word_pieces(
    whole: JsonObject, model: JsonObject, metadata: Metadata
) -> TokenList:
    """Return a tokenizer.json's tokens, and add the keys of the family to `metadata`.

    Raises
    ------
    FormatError
        A value is missing or invalid.
    UnsupportedError
        The file has a step that the family does not have.
    """
    prefix = model.text("continuing_subword_prefix", _PREFIX)
    if prefix != _PREFIX:
        model.refuse("continuing_subword_prefix", _PREFIX, prefix)
    normalizers = list(steps(whole, "normalizer", "normalizers"))
    pre_tokenizers = list(steps(whole, "pre_tokenizer", "pretokenizers"))
    for step in pre_tokenizers:
        if step.text("type") not in ("BertPreTokenizer", "WhitespaceSplit"):
            step.refuse("type", "BertPreTokenizer or WhitespaceSplit", step.get("type"))
    if not pre_tokenizers:
        whole.refuse("pre_tokenizer", "BertPreTokenizer or WhitespaceSplit", "none")
    cleans = True
    for step in steps(whole, "decoder", "decoders"):
        if step.text("type") != "WordPiece" or step.text("prefix", "##") != _PREFIX:
            step.refuse("type", f"WordPiece, with {_PREFIX}", step.get("type"))
        cleans = step.flag("cleanup", True)
    values = pipeline_values(
        normalizers,
        pre_tokenizers,
        longest_word=model.integer("max_input_chars_per_word", 1, 1000, 100),
        cleans=cleans,
    )
    added = {entry.text("content") for entry in whole.children("added_tokens")}
    unknown = model.text("unk_token", "[UNK]")
    texts = read_texts(model)
    tokens = _token_list(whole, values, texts, added | {unknown}, metadata)
    found = tokens.find(unknown)
    if found is None:
        model.fail("unk_token", "a token of the vocabulary", unknown)
    tokens.add(found, unknown, is_special=True, source=model)
    metadata.integer("tokenizer.ggml.unknown_token_id", found)
    return tokens


def read_vocab_txt(
    folder: Path, settings: JsonObject, special: JsonObject | None, metadata: Metadata
) -> tuple[TokenList, Around]:
    """Return the tokens of a vocab.txt, and those around a text, as BERT's class does.

    Each line is a token.

    Parameters
    ----------
    folder : Path
        Has the file.
    settings : JsonObject
        tokenizer_config.json, which says how texts are normalized.
    special : JsonObject or None
        special_tokens_map.json, if there is one.
    metadata : Metadata
        Receives the keys of the family.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    FormatError
        It is not UTF-8, or too large.
    UnsupportedError
        The tokenizer's class has other rules.
    """
    name = settings.text("tokenizer_class", "BertTokenizer")
    if name not in _CLASSES:
        wanted = f"one of {', '.join(sorted(_CLASSES))}, for {VOCAB_TXT} alone"
        settings.refuse("tokenizer_class", wanted, name)
    path = folder / VOCAB_TXT
    lines = _lines(path)
    # of equal lines the last one counts, and the others are tokens of no text
    texts = {i: line for line, i in {line: i for i, line in enumerate(lines)}.items()}
    normalizer: dict[str, Any] = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": settings.flag("tokenize_chinese_chars", True),
        "strip_accents": settings.get("strip_accents"),
        "lowercase": settings.flag("do_lower_case", True),
    }
    values = {
        "normalizers": [normalizer],
        "pre_tokenizers": [{"type": "BertPreTokenizer"}],
    }
    special_texts = {key: _special_text(settings, special, key) for key in _SPECIAL}
    owner = JsonObject(path, {})
    added = set(special_texts.values())
    tokens = _token_list(owner, values, texts, added, metadata)
    for key, text in special_texts.items():
        i = tokens.find(text)
        if i is None:
            raise FormatError(path, "tokens", f"a line {text}", "none")
        tokens.add(i, text, is_special=True, source=owner)
        if key in _GGUF_NAMES:
            metadata.integer(f"tokenizer.ggml.{_GGUF_NAMES[key]}_token_id", i)
    return tokens, ([special_texts["cls_token"]], [special_texts["sep_token"]])


def _special_text(settings: JsonObject, special: JsonObject | None, key: str) -> str:
    for file in (settings, special):
        found = file.get(key) if file is not None else None
        found = found.get("content") if isinstance(found, dict) else found
        if isinstance(found, str):
            return found
    return _SPECIAL[key]


def _lines(path: Path) -> list[str]:
    file = MappedFile(path)
    try:
        if file.size > _MAX_BYTES:
            found = f"{file.size} bytes"
            raise FormatError(path, "file", f"at most {_MAX_BYTES} bytes", found)
        text = bytes(file.data[:]).decode()
    except UnicodeDecodeError:
        raise FormatError(path, "file", "UTF-8", "other bytes") from None
    finally:
        file.close()
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if len(lines) > MAX_VOCAB:
        raise FormatError(path, "file", f"at most {MAX_VOCAB} lines", len(lines))
    return lines


def _token_list(
    owner: JsonObject,
    values: dict[str, Any],
    texts: dict[int, str],
    added: set[str],
    metadata: Metadata,
) -> TokenList:
    """Return the tokens in GGUF's form, and add the keys that all sources have."""
    Pipeline(JsonObject(owner.path, values), b"")  # checks the steps
    metadata.text("tokenizer.ggml.model", "bert")
    metadata.text("tokenizer.ggml.pre", "default")
    metadata.text(PIPELINE_KEY, json.dumps(values))
    _add_normalizer(values["normalizers"], metadata)
    types = dict.fromkeys(texts, int(TokenType.NORMAL))
    for i, text in texts.items():
        if text not in added:
            is_inner = text.startswith(_PREFIX)
            texts[i] = text.removeprefix(_PREFIX) if is_inner else SPACE + text
    return TokenList(owner.path, texts, types, None)


def _add_normalizer(normalizers: list[Mapping[str, Any]], metadata: Metadata) -> None:
    """Add the two settings that GGUF has keys for, which llama.cpp reads."""
    kinds = [step["type"] for step in normalizers]
    lowercase, strips = "Lowercase" in kinds, "StripAccents" in kinds
    for step in normalizers:
        if step["type"] == "BertNormalizer":
            lowercase = step.get("lowercase") is not False
            own = step.get("strip_accents")
            strips = lowercase if own is None else own
    metadata.flag(f"{_NORMALIZER}lowercase", lowercase)
    metadata.flag(f"{_NORMALIZER}strip_accents", strips)
