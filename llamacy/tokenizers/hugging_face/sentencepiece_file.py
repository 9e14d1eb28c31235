"""SentencePiece's own file, `tokenizer.model`: BPE or Unigram.

Source: `sentencepiece_model.proto`, whose field numbers are those below.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any, Final

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.attributes import BYTE_KEY, PREFIX_KEY, SpacePrefix
from llamacy.tokenizers.character_map import CHARACTERS_KEY, read_character_map
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.hugging_face.protobuf import ProtobufError, read_message
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import SPACE, byte_of

_MAX_BYTES: Final = 1 << 24  # the largest file seen has 5 MB
_MAX_PIECES: Final = 1 << 21  # the largest vocabulary seen has 0.3 million

# ModelProto
_PIECE, _TRAINER, _NORMALIZER = 1, 2, 3
# SentencePiece
_TEXT, _SCORE, _TYPE = 1, 2, 3
# TrainerSpec
_MODEL_TYPE, _SPACE_AS_SUFFIX, _BYTE_FALLBACK = 3, 24, 35
_MODEL_TYPES: Final = {1: "unigram", 2: "BPE", 3: "word", 4: "char"}
_UNIGRAM, _BPE = 1, 2
# NormalizerSpec
_CHARACTER_MAP, _ADD_PREFIX, _REMOVE_SPACES, _MARK_SPACES = 2, 3, 4, 5


def read_model(path: Path, metadata: Metadata) -> TokenList:
    """Return a vocabulary's tokens, and add the keys of its family to `metadata`.

    Raises
    ------
    ModelFileError
        The file cannot be read.
    FormatError
        The file is broken.
    UnsupportedError
        The model is neither BPE nor Unigram, or normalises text in another way than
        the vocabularies of its kind in GGUF.
    """
    file = MappedFile(path)
    try:
        if file.size > _MAX_BYTES:
            wanted = f"at most {_MAX_BYTES} bytes"
            raise FormatError(path, "file", wanted, f"{file.size} bytes")
        data = memoryview(file.data[:])
    finally:
        file.close()
    pieces, trainer, normalizer = _parts(path, data)
    model_type = trainer.get(_MODEL_TYPE, 1)
    if model_type not in (_BPE, _UNIGRAM):
        found = _MODEL_TYPES.get(model_type, model_type)
        wanted = "BPE or unigram"
        raise UnsupportedError(path, "trainer_spec.model_type", wanted, found)
    is_unigram = model_type == _UNIGRAM
    _check_normalizer(path, trainer, normalizer, is_unigram=is_unigram)
    metadata.text("tokenizer.ggml.model", "t5" if is_unigram else "llama")
    metadata.text("tokenizer.ggml.pre", "default")
    prefix = bool(normalizer.get(_ADD_PREFIX, 1))
    metadata.flag("tokenizer.ggml.add_space_prefix", prefix)
    tokens = _token_list(path, pieces)
    if is_unigram:
        _add_unigram(path, trainer, normalizer, metadata)
        tokens.add_unknown(metadata)
    return tokens


def _add_unigram(
    path: Path, trainer: dict[int, Any], normalizer: dict[int, Any], metadata: Metadata
) -> None:
    """Add the keys of Unigram, as llama.cpp's converter does, and one of llamacy's."""
    prefix = SpacePrefix.EACH if normalizer.get(_ADD_PREFIX, 1) else SpacePrefix.NONE
    metadata.text(PREFIX_KEY, prefix.value)
    merges = bool(normalizer.get(_REMOVE_SPACES, 1))
    metadata.flag("tokenizer.ggml.remove_extra_whitespaces", merges)
    if trainer.get(_BYTE_FALLBACK, 0):
        metadata.flag(BYTE_KEY, True)
    characters = normalizer.get(_CHARACTER_MAP, b"")
    if isinstance(characters, int):
        raise FormatError(path, "precompiled_charsmap", "bytes", "a number")
    if characters:
        metadata.octets(CHARACTERS_KEY, bytes(characters))
        read_character_map(Fields(metadata.values, str(path)))  # checks it


def _parts(
    path: Path, data: memoryview
) -> tuple[list[dict[int, Any]], dict[int, Any], dict[int, Any]]:
    """Return the fields of each piece, of the trainer and of the normalizer."""
    pieces: list[dict[int, Any]] = []
    others: dict[int, dict[int, Any]] = {_TRAINER: {}, _NORMALIZER: {}}
    try:
        for field, value in read_message(data):
            if field == _PIECE and not isinstance(value, int):
                pieces.append(dict(read_message(value)))
                if len(pieces) > _MAX_PIECES:
                    break
            elif field in others and not isinstance(value, int):
                others[field].update(read_message(value))
    except ProtobufError as error:
        wanted = "a SentencePiece model"
        raise FormatError(path, "file", wanted, str(error)) from None
    if not 1 <= len(pieces) <= _MAX_PIECES:
        raise FormatError(path, "pieces", f"1 to {_MAX_PIECES}", len(pieces))
    return pieces, others[_TRAINER], others[_NORMALIZER]


def _check_normalizer(
    path: Path,
    trainer: dict[int, Any],
    normalizer: dict[int, Any],
    *,
    is_unigram: bool,
) -> None:
    """Check that the normalisation is one that GGUF vocabularies of its kind have."""
    of_unigram = (
        ("precompiled_charsmap", bool(normalizer.get(_CHARACTER_MAP)), False),
        ("remove_extra_whitespaces", bool(normalizer.get(_REMOVE_SPACES, 1)), False),
    )
    rules = (
        *(() if is_unigram else of_unigram),
        ("escape_whitespaces", bool(normalizer.get(_MARK_SPACES, 1)), True),
        ("treat_whitespace_as_suffix", bool(trainer.get(_SPACE_AS_SUFFIX, 0)), False),
    )
    for name, found, wanted in rules:
        if found != wanted:
            raise UnsupportedError(path, name, wanted, found)


def _token_list(path: Path, pieces: list[dict[int, Any]]) -> TokenList:
    texts, types, scores = {}, {}, {}
    for i, piece in enumerate(pieces):
        text, score = piece.get(_TEXT, b""), piece.get(_SCORE, b"\0\0\0\0")
        kind = piece.get(_TYPE, int(TokenType.NORMAL))
        try:
            texts[i] = str(text, "utf-8")
            scores[i] = struct.unpack("<f", score)[0]
            types[i] = int(TokenType(kind))
        except (TypeError, ValueError, struct.error) as error:
            wanted = "a text, a score and a type"
            raise FormatError(path, f"piece {i}", wanted, str(error)) from None
        if not math.isfinite(scores[i]):
            raise FormatError(path, f"piece {i}: score", "a number", scores[i])
        if kind == TokenType.BYTE and byte_of(texts[i]) is None:
            wanted = "a byte, such as <0x00>"
            raise FormatError(path, f"piece {i}", wanted, ascii(texts[i][:80]))
        if kind == TokenType.USER_DEFINED:
            # parsed in the original text, before spaces become U+2581
            texts[i] = texts[i].replace(SPACE, " ")
    return TokenList(path, texts, types, scores)
