"""Finding special tokens in text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from llamacy.tokenizers.attributes import Attributes
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
        The tokens, their types and their attributes.
    normalize : Callable
        Returns a text in the form in which normalized tokens are looked for.

    Attributes
    ----------
    markers : tuple of str
        Texts of control tokens, and of user-defined tokens that look like them.
    in_words : frozenset of int
        Tokens that are found as parts of a text whose spaces are marked already: the
        text after one continues the text before it.
    """

    def __init__(self, vocabulary: Vocabulary, normalize: Callable[[str], str]) -> None:
        tokens, types = vocabulary.tokens, vocabulary.types
        self._attributes = vocabulary.attributes
        self._normalize = normalize
        special = [
            i for i in vocabulary.not_normal if types[i] in _SPECIAL and tokens[i]
        ]
        # longest first, in bytes as in llama.cpp: "<|a|>b" wins over "<|a|>"
        special.sort(key=lambda i: -len(tokens[i].encode(errors="replace")))
        # Control tokens count as not normalized: no space may hide one.
        always = [i for i in special if types[i] == TokenType.USER_DEFINED]
        normalized = self._attributes.normalized.intersection(always)
        self.in_words = normalized if self._attributes.marks_words else frozenset()
        self._all = [(tokens[i], i) for i in special if i not in normalized]
        self._always = [(tokens[i], i) for i in always if i not in normalized]
        # Of tokens with one form the first is found: the library leaves that to chance.
        # Of some, such as control characters, a character map leaves nothing to find.
        forms = {normalize(tokens[i]): i for i in sorted(normalized, reverse=True)}
        self._normalized = [(form, i) for form, i in forms.items() if form]

        self.markers = tuple(
            tokens[i]
            for i in special
            if types[i] != TokenType.USER_DEFINED or _MARKER.fullmatch(tokens[i])
        )

    def split(self, text: str, *, parse_special: bool) -> list[str | int]:
        """Split a text into ids of special tokens, and the texts between them.

        The texts are in their normal form if the vocabulary has normalized tokens. One
        is empty where a token took the space that it begins with, and one is
        added before it: that one is all there is to tokenize.
        """
        parts: list[str | int] = [text] if text else []
        tokens = self._all if parse_special else self._always
        if not self._attributes.leftmost:
            for token, i in tokens:
                if token in text:
                    parts = [new for old in parts for new in self._cut(old, token, i)]
            return parts
        parts = self._find(tokens, parts, in_words=False)
        if self._normalized:
            normalize = self._normalize
            parts = [p if isinstance(p, int) else normalize(p) for p in parts]
            marks_words = self._attributes.marks_words
            parts = self._find(self._normalized, parts, in_words=marks_words)
        return parts

    def _find(
        self, tokens: list[tuple[str, int]], parts: list[str | int], *, in_words: bool
    ) -> list[str | int]:
        """Split the texts among parts at some of the tokens."""
        texts = [part for part in parts if isinstance(part, str)]
        present = {
            token: i for token, i in tokens if any(token in text for text in texts)
        }
        if not present:
            return parts
        finder = _Finder(present, self._attributes, in_words=in_words)
        return [new for old in parts for new in finder.split(old)]

    def _cut(self, part: str | int, token: str, token_id: int) -> Iterator[str | int]:
        """Split a text at one token, as llama.cpp does."""
        if isinstance(part, int):
            yield part
            return
        attributes = self._attributes
        texts = part.split(token)
        for i, text in enumerate(texts):
            if i:
                yield token_id
            if i and token_id in attributes.rstrip:
                text = text.lstrip(attributes.blanks)
            if i + 1 < len(texts) and token_id in attributes.lstrip:
                text = text.rstrip(attributes.blanks)
            if text:
                yield text


class _Finder:
    """Finds tokens in a text as the tokenizers library does: from left to right.

    Parameters
    ----------
    tokens : dict of str to int
        Ids by text.
    attributes : Attributes
        Their attributes.
    in_words : bool
        Whether the tokens are found where words begin only, with the space before.
    """

    def __init__(
        self, tokens: dict[str, int], attributes: Attributes, *, in_words: bool
    ) -> None:
        self._tokens = tokens
        self._attributes = attributes
        before = r"(?:\A|[ \u2581])" if in_words else ""
        self._blanks = re.compile(f"[{attributes.blanks}]*")
        longest_first = sorted(tokens, key=len, reverse=True)
        any_token = "|".join(map(re.escape, longest_first))
        self._pattern = re.compile(f"{before}({any_token})")

    def split(self, part: str | int) -> Iterator[str | int]:
        """Yield the ids of the tokens in a text, and the texts between them."""
        if isinstance(part, int):
            yield part
            return
        attributes, end = self._attributes, 0
        for match in self._pattern.finditer(part):
            token = self._tokens[match[1]]
            start, stop = match.span()
            if token in attributes.single_word and _touched(part, start, stop):
                continue
            before = part[end:start]
            if token in attributes.lstrip:
                before = before.rstrip(attributes.blanks)
            takes_space = not start and match[0] != match[1]
            if before or takes_space:
                yield before
            yield token
            end = stop
            if token in attributes.rstrip:
                end = self._blanks.match(part, stop).end()  # type: ignore[union-attr]
        if end < len(part):
            yield part[end:]


def _touched(text: str, start: int, stop: int) -> bool:
    """Whether a letter, a digit or the like stands beside a part of a text."""
    sides = (text[start - 1 : start], text[stop : stop + 1])
    return any(side and _is_of_word(side) for side in sides)


def _is_of_word(char: str) -> bool:
    r"""Whether a character matches `\w` in the regular expressions of Rust."""
    kind = unicodedata.category(char)
    return (
        kind[0] in "LM"
        or kind in ("Nd", "Nl", "Pc")
        or char in "\u200c\u200d"
        or "\u24b6" <= char <= "\u24e9"  # circled letters
    )
