"""How llama.cpp splits a text into words for WordPiece.

Its rules are those of Unicode's categories, one character at a time, and not quite
those of BERT's own tokenizer: all marks are dropped with the accents, spacing ones too,
and of a character's decomposition only the first part stays. A syllable of Hangul thus
becomes its first consonant.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from llamacy.tokenizers.attributes import BLANKS

_IDEOGRAPHS: Final = (  # the first and the last of each range
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_DROPPED: Final = frozenset(("Cc", "Cf", "Co", "Cs"))


class BertWords(dict[int, str]):
    """A table for `str.translate` that grows with the characters it has seen.

    Parameters
    ----------
    lowercase : bool
        Whether letters become lower case.
    strip_accents : bool
        Whether letters lose their accents.
    """

    def __init__(self, *, lowercase: bool, strip_accents: bool) -> None:
        super().__init__()
        self._lowercase = lowercase
        self._strip_accents = strip_accents

    def __missing__(self, code: int) -> str:
        found = self[code] = self._replacement(chr(code))
        return found

    def split(self, text: str) -> list[str]:
        """Return the words of a text, in their normal form."""
        return [word for word in text.translate(self).split(" ") if word]

    def _replacement(self, char: str) -> str:
        if self._strip_accents:
            char = unicodedata.normalize("NFD", char)[0]
        kind = unicodedata.category(char)
        if char in BLANKS:
            return " "
        if kind in _DROPPED or char == "\ufffd":
            return ""
        if self._strip_accents and kind[0] == "M":
            return ""
        is_sign = kind[0] == "P" or (kind[0] == "S" and char < "\x7f")
        is_ideograph = any(low <= ord(char) <= high for low, high in _IDEOGRAPHS)
        if self._lowercase:
            char = char.lower()[0]  # one character, as in llama.cpp
        return f" {char} " if is_sign or is_ideograph else char
