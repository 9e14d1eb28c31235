"""Translates an old file's vocabulary to GGUF's keys.

The old files have the bytes that each token stands for: none for control tokens, one
for byte tokens, and a space where SentencePiece has U+2581. The kind of a token follows
from its id, since the ids are LLaMA's: unknown, beginning of text, end of text, 256
bytes, then pieces. Tokens added by fine-tuning follow at the end.

Files without a version have no scores. llama.cpp's converter sets them all to zero,
with which most texts give other tokens than the model was trained on. LLaMA's scores
follow from the order of its pieces, so they are restored here: the first piece has 0
and each following one 1 less, but pieces of spaces only have -1e9.
"""

from __future__ import annotations

from typing import Any, Final

from llamacy.errors import FormatError
from llamacy.formats.legacy.file import LegacyFile
from llamacy.formats.metadata import BOOL, FLOAT32, INT32, STRING, UINT32

_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6  # token types, as GGUF numbers them

_SPECIAL: Final = {0: ("<unk>", _UNKNOWN), 1: ("<s>", _CONTROL), 2: ("</s>", _CONTROL)}
_FIRST_BYTE: Final = 3
_FIRST_PIECE: Final = _FIRST_BYTE + 256
_SPACE: Final = "\N{LOWER ONE EIGHTH BLOCK}"
_SCORE_OF_SPACES: Final = -1e9


def vocabulary_metadata(file: LegacyFile) -> tuple[dict[str, Any], dict[str, int]]:
    """Return the metadata of the vocabulary, and the types of the values.

    Raises
    ------
    FormatError
        The vocabulary lacks the special tokens, or has a token that is not UTF-8.
    """
    if len(file.tokens) <= max(_SPECIAL):
        wanted = f"at least {len(_SPECIAL)} tokens"
        raise FormatError(file.paths[0], "n_vocab", wanted, len(file.tokens))
    tokens, types = [], []
    for i, token_bytes in enumerate(file.tokens):
        token, kind = _token(file, i, token_bytes)
        tokens.append(token)
        types.append(kind)
    values: dict[str, tuple[Any, int]] = {
        "model": ("llama", STRING),
        "pre": ("default", STRING),
        "tokens": (tokens, STRING),
        "scores": (file.scores or _scores(tokens), FLOAT32),
        "token_type": (types, INT32),
        "unknown_token_id": (0, UINT32),
        "bos_token_id": (1, UINT32),
        "eos_token_id": (2, UINT32),
        "add_bos_token": (True, BOOL),
        "add_eos_token": (False, BOOL),
    }
    return (
        {f"tokenizer.ggml.{key}": value for key, (value, _) in values.items()},
        {f"tokenizer.ggml.{key}": kind for key, (_, kind) in values.items()},
    )


def _token(file: LegacyFile, i: int, token_bytes: bytes) -> tuple[str, int]:
    """Return text and type of a token, from its id and the bytes it stands for."""
    if i in _SPECIAL:
        return _SPECIAL[i]
    if not token_bytes:
        return "", _CONTROL
    if i < _FIRST_PIECE and len(token_bytes) == 1:
        return f"<0x{token_bytes[0]:02X}>", _BYTE
    try:
        return token_bytes.decode().replace(" ", _SPACE), _NORMAL
    except UnicodeDecodeError:
        found = ascii(token_bytes[:40])
        raise FormatError(file.paths[0], f"token {i}", "UTF-8 text", found) from None


def _scores(tokens: list[str]) -> list[float]:
    scores = []
    for i, token in enumerate(tokens):
        if i < _FIRST_PIECE:
            scores.append(0.0)
        elif token.strip(_SPACE):
            scores.append(float(_FIRST_PIECE - i))
        else:
            scores.append(_SCORE_OF_SPACES)
    return scores
