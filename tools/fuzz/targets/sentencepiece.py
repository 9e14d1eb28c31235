"""tokenizer.model, SentencePiece's protocol buffers."""

from __future__ import annotations

import struct

from llamacy.errors import LlamacyError
from llamacy.model_files.tokenizer import load_tokenizer

from .. import files

_FOLDER = files.scratch()
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6


def _varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _message(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _piece(text: str, score: float, kind: int) -> bytes:
    inner = _message(1, text.encode()) + struct.pack("<Bf", 0x15, score)
    return _message(1, inner + _number(3, kind))


def seeds() -> list[bytes]:
    """Return a whole vocabulary, and one of a few pieces."""
    pieces = _piece("<unk>", 0, _UNKNOWN) + _piece("<s>", 0, _CONTROL)
    pieces += _piece("</s>", 0, _CONTROL)
    in_bytes = b"".join(_piece(f"<0x{i:02X}>", 0, _BYTE) for i in range(256))
    normal = b"".join(
        _piece(text, -i, _NORMAL) for i, text in enumerate(["\u2581", "a", "b", "ab"])
    )
    trainer = _message(2, _number(3, 2) + _number(35, 1))
    flags = _number(3, 1) + _number(4, 0) + _number(5, 1)
    normalizer = _message(3, _message(1, b"identity") + flags)
    whole = pieces + in_bytes + normal + trainer + normalizer
    mapped = normalizer + _message(3, _message(2, files.character_map()))
    unigram = pieces + in_bytes + normal + _message(2, _number(3, 1) + _number(35, 1))
    return [whole, unigram + mapped, pieces + normal + trainer + normalizer, pieces]


def run(data: bytes) -> None:
    """Read a vocabulary, then a text with it."""
    (_FOLDER / "tokenizer.model").write_bytes(data)
    files.attempts(_use, allowed=LlamacyError)


def _use() -> None:
    tokenizer = load_tokenizer(_FOLDER)
    ids = tokenizer.encode("ab <s> a\n</s>", parse_special=True)
    tokenizer.decode(ids, skip_special=False)
