"""SentencePiece vocabularies (`tokenizer.ggml.model == "llama"`).

LLaMA's is a BPE model: the adjacent pieces that form the token with the highest score
are merged until no two pieces form a token; pieces that are not tokens then become
their bytes. A GGUF file has only the tokens, so the model that the sentencepiece
library reads is built from them.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from llamacy.tokenizers.attributes import (
    SpacePrefix,
    read_normalizer,
    read_space_prefix,
)
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.protobuf import message, varint
from llamacy.tokenizers.token_type import HIDDEN, TokenType
from llamacy.tokenizers.vocabulary import (
    SPACE,
    Defaults,
    Vocabulary,
    byte_of,
    read_vocabulary,
)

_DEFAULTS = Defaults(add_bos=True, bos_id=1, eos_id=2, unk_id=0, infer_types=True)
_END = 7  # bytes of a piece's score and type
_SHORT = 0x80 - 2 - _END  # bytes of a text from which on lengths may take two
_HEADS = [b"\n%c\n%c" % (2 + n + _END, n) for n in range(_SHORT)]

# token types, as SentencePiece numbers them
_NORMAL, _UNKNOWN, _CONTROL, _UNUSED, _BYTE = 1, 2, 3, 5, 6


class SPMTokenizer(Tokenizer):
    """Tokenizer of a SentencePiece vocabulary.

    Parameters
    ----------
    fields : Fields
        Metadata with `tokenizer.ggml.tokens`, `scores` and `token_type`.

    Raises
    ------
    FormatError
        A key is missing, or its value invalid.
    """

    def __init__(self, fields: Fields) -> None:
        vocabulary = read_vocabulary(fields, _DEFAULTS)
        is_prefixed = fields.flag("tokenizer.ggml.add_space_prefix") is not False
        prefix = SpacePrefix.EACH if is_prefixed else SpacePrefix.NONE
        super().__init__(
            vocabulary,
            space_prefix=read_space_prefix(fields, prefix),
            normal_forms=read_normalizer(fields),
        )
        scores = fields.floats("tokenizer.ggml.scores", self.n_vocab)
        pieces = _Pieces(vocabulary)
        self._processor = _load(fields, pieces, scores)

    def _normalize(self, text: str) -> str:
        """Read U+2581 as the space it stands for, as models saw it in training."""
        return super()._normalize(text).replace(SPACE, " ")

    def _encode_part(self, text: str) -> list[int]:
        return list(self._known(self._processor.encode(text)))


class _Pieces:
    """A vocabulary as the sentencepiece library requires it.

    Tokens that text must not produce become control pieces with unique texts, since the
    library never produces control pieces from text. Unused pieces keep their texts:
    merges go through them, and what ends as one is taken apart again. Pieces that the
    library requires and the vocabulary lacks get ids beyond the vocabulary: an unknown
    token, and the other bytes if there are byte tokens.

    Attributes
    ----------
    texts : list of str
        Text of each piece.
    kinds : list of int
        Type of each piece, as SentencePiece numbers them.
    byte_ids : dict of int to int
        Id of the piece of each byte that has one.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.texts = list(vocabulary.tokens)
        self.kinds = [_NORMAL] * len(self.texts)
        self.byte_ids: dict[int, int] = {}
        self._has_unknown = False
        for i in vocabulary.not_normal:
            if i not in vocabulary.ordinary:
                self._set(i, vocabulary.types[i])
        for i in vocabulary.attributes.added:
            self._set(i, TokenType.CONTROL)
        for i, text in enumerate(self.texts):
            if not text or "\0" in text:  # rejected by the library
                self._set(i, TokenType.CONTROL)
        missing = set(range(256)) - self.byte_ids.keys()
        for byte in sorted(missing) if self.byte_ids else []:
            self._append(f"<0x{byte:02X}>", TokenType.BYTE)
        if not self._has_unknown:
            self._append("", TokenType.UNKNOWN)

    def _append(self, text: str, kind: TokenType) -> None:
        self.texts.append(text)
        self.kinds.append(_NORMAL)
        self._set(len(self.texts) - 1, kind)

    def _set(self, i: int, kind: int) -> None:
        byte = byte_of(self.texts[i]) if kind == TokenType.BYTE else None
        if byte is not None:
            self.texts[i], self.kinds[i] = f"<0x{byte:02X}>", _BYTE
            self.byte_ids[byte] = i
        elif kind == TokenType.UNKNOWN and not self._has_unknown:
            self.texts[i], self.kinds[i] = "\2unknown", _UNKNOWN
            self._has_unknown = True
        elif kind == TokenType.UNUSED and byte_of(self.texts[i]) is None:
            self.kinds[i] = _UNUSED
        elif kind in HIDDEN:
            self.texts[i], self.kinds[i] = f"\2control {i}", _CONTROL


def _load(fields: Fields, pieces: _Pieces, scores: list[float]) -> Any:
    # imported on first use, to keep `import llamacy` fast
    from sentencepiece import SentencePieceProcessor

    try:
        return SentencePieceProcessor(model_proto=_model_proto(pieces, scores))
    except (RuntimeError, UnicodeEncodeError) as error:
        found = str(error).removeprefix("INTERNAL: ")[:200]
        wanted = "a vocabulary that sentencepiece accepts"
        raise fields.error("tokenizer.ggml.tokens", wanted, found) from None


def _model_proto(pieces: _Pieces, scores: list[float]) -> bytes:
    """Encode a SentencePiece ModelProto (sentencepiece_model.proto)."""
    n_pieces = len(pieces.texts)
    packed = struct.pack(f"<{len(scores)}f", *scores).ljust(4 * n_pieces, b"\0")
    ends = np.empty((n_pieces, _END), np.uint8)  # 2: score, 3: type
    ends[:, 0], ends[:, 5] = 0x15, 0x18
    ends[:, 1:5] = np.frombuffer(packed, np.uint8).reshape(-1, 4)
    ends[:, 6] = pieces.kinds
    packed_ends = ends.tobytes()
    parts: list[bytes] = []
    for i, text in enumerate(pieces.texts):
        data, end = text.encode(), packed_ends[_END * i : _END * (i + 1)]
        if (n := len(data)) < _SHORT:  # as below, without the calls
            parts += (_HEADS[n], data, end)
        else:
            parts.append(message(1, message(1, data) + end))  # 1: piece
    # model_type 3: BPE 2, byte_fallback 35
    trainer = b"\x18\x02%b%c" % (varint(35 << 3), bool(pieces.byte_ids))
    # name 1, add_dummy_prefix 3, remove_extra_whitespaces 4, escape_whitespaces 5;
    # the prefix is added by `encode_parts`, since it depends on special tokens
    normalizer = message(1, b"identity") + b"\x18\x00\x20\x00\x28\x01"
    return b"".join(parts) + message(2, trainer) + message(3, normalizer)
