"""Maps of characters that point outside of themselves are refused."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.normalizers import Precompiled

from llamacy.errors import FormatError
from llamacy.tokenizers.character_map import (
    CHARACTERS_KEY,
    CharacterMap,
    read_character_map,
)
from llamacy.tokenizers.fields import Fields

VECTORS = Path(__file__).with_name("llama_cpp_vectors.json")
MAP = base64.b64decode(
    json.loads(VECTORS.read_text("utf-8"))["t5"]["keys"]["precompiled_charsmap"]
)
N_TRIE = struct.unpack_from("<I", MAP)[0]


def checked(data: bytes) -> bytes:
    return read_character_map(Fields({CHARACTERS_KEY: [*data]}, "m.gguf"))


def mapped(data: bytes) -> CharacterMap:
    return CharacterMap(Fields({CHARACTERS_KEY: [*data]}, "m.gguf"))


def test_a_map_replaces_the_longest_texts() -> None:
    assert checked(MAP) == MAP
    replaced = mapped(MAP).apply("\ufb01ne e\u0301e \u2460\u0007 \u0000 x")
    assert replaced == "fine \u00e9e 1 \u0000 x"


def test_signed_bytes_are_bytes() -> None:
    signed = [byte - 256 if byte > 127 else byte for byte in MAP]
    assert read_character_map(Fields({CHARACTERS_KEY: signed}, "m.gguf")) == MAP


def test_a_file_without_a_map_has_none() -> None:
    assert read_character_map(Fields({}, "m.gguf")) == b""


def with_unit(place: int, unit: int) -> bytes:
    at = 4 + 4 * place
    return MAP[:at] + struct.pack("<I", unit) + MAP[at + 4 :]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda: b"\1", "a trie of 0 bytes"),
        (lambda: b"\0\0\0\0", "a trie of 0 bytes"),
        (lambda: struct.pack("<I", 1 << 31) + MAP[4:], "a trie of 2147483648 bytes"),
        (lambda: struct.pack("<I", N_TRIE + 4) + MAP[4:], "a trie of"),
        (lambda: MAP[: 4 + N_TRIE], "a trie of"),
        (lambda: MAP[:-1] + b"x", "replacements beyond"),
        (lambda: MAP + b"\xff\0", "not UTF-8"),
        (lambda: MAP + b"x" * 300 + b"\0", "more than 256 bytes"),
        (lambda: with_unit(0, 1 << 30), "children beyond"),
    ],
)
def test_broken_maps_are_refused(spoil: Callable[[], bytes], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        checked(spoil())


@given(
    at=st.integers(0, len(MAP) - 1),
    byte=st.integers(0, 255),
    text=st.text(max_size=8)
    | st.sampled_from(["\ufb01 e\u0301", "\u2460\u00bd\u0007"]),
)
def test_a_map_with_one_change_is_refused_or_works(
    at: int, byte: int, text: str
) -> None:
    changed = MAP[:at] + bytes([byte]) + MAP[at + 1 :]
    try:
        found = mapped(changed)
    except FormatError:
        return
    found.apply(text).encode()
    Precompiled(changed).normalize_str(text)
