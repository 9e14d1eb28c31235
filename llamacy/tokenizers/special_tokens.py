"""Finding special tokens in text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import Vocabulary

_SPECIAL = {TokenType.USER_DEFINED, TokenType.CONTROL, TokenType.UNKNOWN}

# texts of tokens that mark the turns of a conversation, which older files list as
# user-defined
_MARKER = re.compile(
    r"<[|\uff5c].+[|\uff5c]>|<(start|end)_of_\w+>|\[/?[A-Z_]+\]|<</?SYS>>", re.S
)


class SpecialTokens:
    """The tokens at which a text is split before the rest of it is tokenized.

    User-defined tokens are always parsed. Control tokens are parsed on request only,
    because a text that contains them could otherwise steer the model.

    Parameters
    ----------
    vocabulary : Vocabulary
        The tokens and their types.

    Attributes
    ----------
    markers : tuple of str
        Texts of control tokens, and of user-defined tokens that look like them.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        tokens, types = vocabulary.tokens, vocabulary.types
        special = [
            i for i in vocabulary.not_normal if types[i] in _SPECIAL and tokens[i]
        ]
        # longest first, in bytes as in llama.cpp: "<|a|>b" wins over "<|a|>"
        special.sort(key=lambda i: -len(tokens[i].encode(errors="replace")))
        self._all = [(tokens[i], i) for i in special]
        self._always = [
            (tokens[i], i) for i in special if types[i] == TokenType.USER_DEFINED
        ]

        self.markers = tuple(
            text
            for text, i in self._all
            if types[i] != TokenType.USER_DEFINED or _MARKER.fullmatch(text)
        )

    def split(self, text: str, *, parse_special: bool) -> list[str | int]:
        """Split a text into non-empty texts and ids of special tokens."""
        parts: list[str | int] = [text] if text else []
        for token, token_id in self._all if parse_special else self._always:
            if token in text:
                parts = [new for old in parts for new in _cut(old, token, token_id)]
        return parts


def _cut(part: str | int, token: str, token_id: int) -> Iterator[str | int]:
    if isinstance(part, int):
        yield part
        return
    for i, text in enumerate(part.split(token)):
        if i:
            yield token_id
        if text:
            yield text
