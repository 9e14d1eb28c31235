"""The vocabulary of an old file, in GGUF's words.

The old files have the bytes that a token stands for: nothing for control tokens, a
single byte for the tokens of bytes, a space where SentencePiece has U+2581. The ids say
which is which, for they are LLaMA's: unknown, begin and end of a text, 256 bytes, and
then pieces. Tokens added by those who tuned a model follow at the end.

Files without a version have no scores, and llama.cpp's converter makes them all zero,
with which most texts become other tokens than the model was trained on. The scores of
LLaMA's vocabulary follow from its order, and so they are made here: the first piece has
0 and each one after it 1 less, but pieces of nothing but spaces have -1e9.
"""

from __future__ import annotations

from typing import Any, Final

from llamacy.errors import FormatError
from llamacy.formats.legacy.file import LegacyFile

_UINT32, _INT32, _FLOAT32, _STRING, _BOOL = 4, 5, 6, 8, 7  # as GGUF numbers them
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6  # types of tokens, in GGUF

_SPECIAL: Final = {0: ("<unk>", _UNKNOWN), 1: ("<s>", _CONTROL), 2: ("</s>", _CONTROL)}
_FIRST_BYTE: Final = 3
_FIRST_PIECE: Final = _FIRST_BYTE + 256
_SPACE: Final = "\N{LOWER ONE EIGHTH BLOCK}"
_SCORE_OF_SPACES: Final = -1e9


def vocabulary_metadata(file: LegacyFile) -> tuple[dict[str, Any], dict[str, int]]:
    """Make the keys of the vocabulary, and the types of their values.

    Raises
    ------
    FormatError : it has no special tokens, or one that is no text.
    """
    if len(file.tokens) <= max(_SPECIAL):
        wanted = f"at least {len(_SPECIAL)} tokens"
        raise FormatError(file.paths[0], "n_vocab", wanted, len(file.tokens))
    tokens, types = [], []
    for i, spoken in enumerate(file.tokens):
        token, kind = _token(file, i, spoken)
        tokens.append(token)
        types.append(kind)
    values: dict[str, tuple[Any, int]] = {
        "model": ("llama", _STRING),
        "pre": ("default", _STRING),
        "tokens": (tokens, _STRING),
        "scores": (file.scores or _scores(tokens), _FLOAT32),
        "token_type": (types, _INT32),
        "unknown_token_id": (0, _UINT32),
        "bos_token_id": (1, _UINT32),
        "eos_token_id": (2, _UINT32),
        "add_bos_token": (True, _BOOL),
        "add_eos_token": (False, _BOOL),
    }
    return (
        {f"tokenizer.ggml.{key}": value for key, (value, _) in values.items()},
        {f"tokenizer.ggml.{key}": kind for key, (_, kind) in values.items()},
    )


def _token(file: LegacyFile, i: int, spoken: bytes) -> tuple[str, int]:
    """Text and type of a token by the bytes it stands for."""
    if i in _SPECIAL:
        return _SPECIAL[i]
    if not spoken:
        return "", _CONTROL
    if i < _FIRST_PIECE and len(spoken) == 1:
        return f"<0x{spoken[0]:02X}>", _BYTE
    try:
        return spoken.decode().replace(" ", _SPACE), _NORMAL
    except UnicodeDecodeError:
        found = ascii(spoken[:40])
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
