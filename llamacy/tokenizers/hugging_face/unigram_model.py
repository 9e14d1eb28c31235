"""Reads the Unigram vocabulary of a tokenizer.json."""

from __future__ import annotations

import binascii
import json
import math
from base64 import b64decode
from typing import Final

from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.printable import shown
from llamacy.tokenizers.attributes import BYTE_KEY, PIPELINE_KEY
from llamacy.tokenizers.character_map import CHARACTERS_KEY, read_character_map
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.hugging_face.decoder import check_decoder
from llamacy.tokenizers.hugging_face.steps import steps
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.pipeline import Pipeline, pipeline_values
from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import byte_of

_LEAST: Final = -1e30  # scores are logarithms of probabilities


def read_unigram(whole: JsonObject, model: JsonObject, metadata: Metadata) -> TokenList:
    """Return a vocabulary's tokens, and add the keys of its family to `metadata`.

    Raises
    ------
    FormatError
        A value is missing or invalid.
    UnsupportedError
        The file has a step that the family does not have.
    """
    texts, scores = _read_pieces(model)
    if "unk_id" not in model:
        model.refuse("unk_id", "the id of the unknown token", "none")
    unknown = model.integer("unk_id", 0, len(texts) - 1)
    in_bytes = model.flag("byte_fallback", False)
    types = dict.fromkeys(texts, int(TokenType.NORMAL))
    if in_bytes:
        for i in (i for i, text in texts.items() if byte_of(text) is not None):
            types[i] = int(TokenType.BYTE)
    types[unknown] = int(TokenType.UNKNOWN)
    _add_steps(whole, metadata)
    check_decoder(whole, is_byte_level=False)
    metadata.text("tokenizer.ggml.model", "t5")
    metadata.text("tokenizer.ggml.pre", "default")
    metadata.integer("tokenizer.ggml.unknown_token_id", unknown)
    if in_bytes:
        metadata.flag(BYTE_KEY, True)
    return TokenList(whole.path, texts, types, scores)


def _read_pieces(model: JsonObject) -> tuple[dict[int, str], dict[int, float]]:
    texts: dict[int, str] = {}
    scores: dict[int, float] = {}
    for i, piece in enumerate(model.items("vocab")):
        match piece:
            case [str(text), int() | float() as score] if not isinstance(score, bool):
                texts[i], scores[i] = text, float(score)
            case _:
                model.fail(f"vocab[{i}]", "a text and a score", shown(piece))
        if not _LEAST < scores[i] < -_LEAST or math.isnan(scores[i]):
            model.fail(f"vocab[{i}]", "a score of float32", scores[i])
    if not 0 < len(texts) <= MAX_VOCAB:
        model.fail("vocab", f"1 to {MAX_VOCAB} tokens", len(texts))
    return texts, scores


def _add_steps(whole: JsonObject, metadata: Metadata) -> None:
    """Add the steps before the model, for the library and for llama.cpp."""
    normalizers = list(steps(whole, "normalizer", "normalizers"))
    pre_tokenizers = list(steps(whole, "pre_tokenizer", "pretokenizers"))
    characters = b""
    kinds = [step.text("type") for step in normalizers]
    n_maps = kinds.count("Precompiled")
    if n_maps > 1:
        whole.refuse("normalizer", "one step of Precompiled", n_maps)
    if "Precompiled" in kinds:
        characters = _characters(normalizers[kinds.index("Precompiled")])
    if characters:
        metadata.octets(CHARACTERS_KEY, characters)
        read_character_map(Fields(metadata.values, str(whole.path)))  # checks it
    else:  # a map without rules
        normalizers = [one for one in normalizers if one.text("type") != "Precompiled"]
    for step in pre_tokenizers:
        if step.text("type") not in ("Metaspace", "WhitespaceSplit"):
            step.refuse("type", "Metaspace or WhitespaceSplit", step.get("type"))
    values = pipeline_values(normalizers, pre_tokenizers)
    found = Pipeline(JsonObject(whole.path, values), characters)
    if sum(step.text("type") == "Metaspace" for step in pre_tokenizers) != 1:
        whole.refuse("pre_tokenizer", "one step of Metaspace", "none, or several")
    metadata.text(PIPELINE_KEY, json.dumps(values))
    is_prefixed = bool(found.space_prefix != "none")
    metadata.flag("tokenizer.ggml.add_space_prefix", is_prefixed)
    merges = found.splits_words or "Replace" in kinds
    metadata.flag("tokenizer.ggml.remove_extra_whitespaces", merges)
    metadata.flag("tokenizer.ggml.normalizer.lowercase", "Lowercase" in kinds)


def _characters(step: JsonObject) -> bytes:
    text = step.text("precompiled_charsmap", "")
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        step.fail("precompiled_charsmap", "base64", str(error))
