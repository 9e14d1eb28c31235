"""The replacements of characters that a SentencePiece model is trained with.

`precompiled_charsmap` holds a trie of texts to replace, most of them the rules of NFKC,
and the texts that replace them: the trie's length in bytes as uint32, the trie, and
texts that each end in NUL. The trie is a double array of 32-bit units (Yata et al.
2007, A compact static double-array keeping character codes): bits 0 to 7 are the byte
that leads to a unit, bit 8 says whether a text ends there, and bits 10 to 30 (times 256
if bit 9 is set) say where its children are. Units with bit 31 hold, in the other bits,
the offset of a replacement.

Libraries that apply it trust these numbers: they are checked here, before any of it is
used.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np

from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.protobuf import message

CHARACTERS_KEY: Final = "tokenizer.ggml.precompiled_charsmap"

_LENGTH: Final = struct.Struct("<I")
_LONGEST: Final = 256  # bytes of a replacement; NFKC's longest has 33
_BLOCK: Final = 256  # units: the children of one unit are in one block


def read_character_map(fields: Fields) -> bytes:
    """Return a file's checked `precompiled_charsmap`; nothing if it has none.

    Raises
    ------
    FormatError
        The value is not an array of bytes, or points outside of itself.
    """
    data = fields.octets(CHARACTERS_KEY)
    fault = _fault(data) if data else None
    if fault is not None:
        wanted = "a trie, and texts that end in NUL"
        raise fields.error(CHARACTERS_KEY, wanted, fault)
    return data


def _fault(data: bytes) -> str | None:
    """Return what is wrong with a map, whose units count as reached, all of them.

    The number of units is a multiple of a block's: where one child is, all are.
    """
    n_bytes = _LENGTH.unpack_from(data)[0] if len(data) >= _LENGTH.size else 0
    n_units, rest = divmod(n_bytes, 4)
    if rest or not n_units or n_units % _BLOCK:
        return f"a trie of {n_bytes} bytes"
    if _LENGTH.size + n_bytes >= len(data):
        return f"a trie of {n_bytes} bytes in {len(data)}"
    units = np.frombuffer(data, "<u4", n_units, _LENGTH.size)
    texts = np.frombuffer(data, np.uint8, offset=_LENGTH.size + n_bytes)
    inner = np.flatnonzero(units >> 31 == 0)
    children = units[inner] >> 10 << ((units[inner] & 1 << 9) >> 6)
    targets = inner ^ children  # of a unit's children, the one that the byte 0 leads to
    if targets.size and targets.max() >= n_units:
        return f"children beyond {n_units} units"
    values = units[targets[units[inner] >> 8 & 1 == 1]] & 0x7FFFFFFF
    if texts[-1] or (values.size and values.max() >= texts.size):
        return f"replacements beyond {texts.size} bytes of texts"
    if np.any(texts[values] >> 6 == 0b10):
        return "a replacement that begins within a character"
    replacements = texts.tobytes()
    if max(map(len, replacements.split(b"\0"))) > _LONGEST:
        return f"a replacement of more than {_LONGEST} bytes"
    try:
        replacements.decode()
    except UnicodeDecodeError:
        return "replacements that are not UTF-8"
    return None


class CharacterMap:
    """Replaces characters as the sentencepiece library does.

    The longest text that the map has at a place is replaced, and the search goes on
    behind it.

    Parameters
    ----------
    fields : Fields
        The metadata of a file that has a `precompiled_charsmap`.

    Raises
    ------
    FormatError
        The map is broken.
    """

    def __init__(self, fields: Fields) -> None:
        data = read_character_map(fields)
        try:
            self._processor = _load(data)
        except RuntimeError as error:  # the library checks some more
            found = str(error)[:200]
            wanted = "a map that sentencepiece accepts"
            raise fields.error(CHARACTERS_KEY, wanted, found) from None

    def apply(self, text: str) -> str:
        """Return the text with its replacements."""
        replaced: str = self._processor.Normalize(text)
        return replaced


def _load(data: bytes) -> Any:
    # imported on first use, to keep `import llamacy` fast
    from sentencepiece import SentencePieceProcessor

    # Pieces: text 1, type 3 (unknown 2, normal 1). The library requires both.
    pieces = (message(1, b"<unk>") + b"\x18\x02", message(1, b"a") + b"\x18\x01")
    # precompiled_charsmap 2; add_dummy_prefix 3, remove_extra_whitespaces 4 and
    # escape_whitespaces 5 are off
    normalizer = message(1, b"own") + message(2, data) + b"\x18\x00\x20\x00\x28\x00"
    proto = b"".join(message(1, piece) for piece in pieces) + message(3, normalizer)
    return SentencePieceProcessor(model_proto=proto)
