"""The types of tokens in a GGUF vocabulary."""

from __future__ import annotations

from enum import IntEnum


class TokenType(IntEnum):
    """Values of `tokenizer.ggml.token_type`."""

    UNDEFINED = 0
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


HIDDEN = frozenset({TokenType.UNKNOWN, TokenType.CONTROL, TokenType.UNUSED})
"""Types of tokens that stand for no text and are never produced from text."""
