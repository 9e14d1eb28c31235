"""How special tokens are found in a text, and where spaces are added to it.

GGUF has no keys for most of this. Files that llamacy makes from Hugging Face's have
keys of its own, `tokenizer.llamacy.*`, which other programs pass over; for all other
files, llama.cpp's rules hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.token_type import TokenType

_PRE = "tokenizer.ggml.pre"
PREFIX_KEY = "tokenizer.llamacy.space_prefix"
BEGIN_KEY = "tokenizer.llamacy.begin_ids"
END_KEY = "tokenizer.llamacy.end_ids"
"""Tokens that end a text beside the three that GGUF has keys for."""
SUPPRESS_KEY = "tokenizer.ggml.suppress_tokens"
SUPPRESS_FIRST_KEY = "tokenizer.llamacy.begin_suppress_tokens"
NORMALIZER_KEY = "tokenizer.llamacy.normalizer"
PIPELINE_KEY = "tokenizer.llamacy.pipeline"
BYTE_KEY = "tokenizer.llamacy.byte_fallback"
MATCHING_KEY = "tokenizer.llamacy.matching"
LEFTMOST = "leftmost"
ADDED_KEY = "tokenizer.llamacy.added_ids"
FLAG_KEYS = {
    name: f"tokenizer.llamacy.{name}_ids"
    for name in ("lstrip", "rstrip", "single_word", "normalized")
}
"""Keys of the ids that have a flag, by the flag's name in tokenizer.json."""

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: tuple[Form, ...] = ("NFC", "NFD", "NFKC", "NFKD")
"""Unicode's normal forms, as `tokenizer.llamacy.normalizer` lists them."""

_ASCII_BLANKS = "\t\n\v\f\r "
BLANKS = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's White_Space; Python's `str.isspace` adds four control characters."""

_PHI_3 = ("phi-3", "phi3")
_PHI_3_KEEPS = frozenset({"<unk>", "<s>", "<|endoftext|>"})
_LSTRIPPED = {"jina-v2-code": "<mask>", "jina-v2-de": "<mask>", "jina-v2-es": "<mask>"}
_SPECIAL = {TokenType.USER_DEFINED, TokenType.CONTROL, TokenType.UNKNOWN}


class SpacePrefix(StrEnum):
    """Which of the texts between special tokens begin with an added space.

    Members
    -------
    NONE
        None does.
    EACH
        Each that begins the whole or follows a special token, even if it begins with a
        space: llama.cpp's rule, and that of `Prepend` in a tokenizer.json.
    FIRST, ALWAYS
        That which begins the whole, or each; unless it begins with a space. These are
        the rules of `Metaspace` in a tokenizer.json.
    """

    NONE = "none"
    EACH = "each"
    FIRST = "first"
    ALWAYS = "always"

    def before(self, text: str, *, first: bool, after_special: bool) -> str:
        """Return the space to add before a text, or nothing."""
        if self is SpacePrefix.EACH:
            return " " if after_special else ""
        wanted = after_special if self is SpacePrefix.ALWAYS else first
        if self is SpacePrefix.NONE or not wanted or text[0] == " ":
            return ""
        return " "


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """Ids of the special tokens that are found by other rules than most.

    Attributes
    ----------
    lstrip, rstrip : frozenset of int
        Tokens that take the white space before or after them.
    single_word : frozenset of int
        Tokens that are found only where no letter or digit touches them.
    normalized : frozenset of int
        Tokens that are looked for after the others, in the texts between those.
    marks_words : bool
        Whether spaces are marked and added before normalized tokens are looked for, so
        that these are found only where a word begins, and take the space before it.
    leftmost : bool
        Whether of overlapping tokens the leftmost is found, and the longest of those;
        otherwise the longest is.
    blanks : str
        The characters that count as white space.
    added : frozenset of int
        Tokens that the model's own vocabulary lacks: they are found in a text, and
        merges form none of them.
    """

    lstrip: frozenset[int] = frozenset()
    rstrip: frozenset[int] = frozenset()
    single_word: frozenset[int] = frozenset()
    normalized: frozenset[int] = frozenset()
    marks_words: bool = False
    leftmost: bool = False
    blanks: str = _ASCII_BLANKS
    added: frozenset[int] = frozenset()


def read_attributes(fields: Fields, tokens: list[str], types: list[int]) -> Attributes:
    """Read the attributes of a file's special tokens.

    Raises
    ------
    FormatError
        A value has a wrong type, or an id is not in the vocabulary.
    """
    matching = fields.text(MATCHING_KEY, "")
    if matching:
        if matching != LEFTMOST:
            raise fields.error(MATCHING_KEY, LEFTMOST, repr(matching[:80]))
        flags = {
            name: frozenset(fields.ids(key, len(tokens)))
            for name, key in FLAG_KEYS.items()
        }
        marks_words = fields.text(PREFIX_KEY, "") == SpacePrefix.EACH
        return Attributes(
            **flags,
            marks_words=marks_words,
            leftmost=True,
            blanks=BLANKS,
            added=frozenset(fields.ids(ADDED_KEY, len(tokens))),
        )
    masked = _LSTRIPPED.get(fields.text_or_none(_PRE) or "")
    if masked is not None:
        found = (i for i, text in enumerate(tokens) if text == masked)
        return Attributes(lstrip=frozenset(found))
    name = fields.text_or_none("general.name")
    if name and any(each in name.lower() for each in _PHI_3):
        rows = enumerate(zip(tokens, types, strict=True))
        special = (
            i
            for i, (text, kind) in rows
            if (kind in _SPECIAL or text == "</s>") and text not in _PHI_3_KEEPS
        )
        return Attributes(rstrip=frozenset(special))
    return Attributes()


def read_space_prefix(fields: Fields, default: SpacePrefix) -> SpacePrefix:
    """Return where a file's vocabulary adds spaces.

    Raises
    ------
    FormatError
        The value has a wrong type, or is none of the known ones.
    """
    name = fields.text(PREFIX_KEY, "")
    if not name:
        return default
    try:
        return SpacePrefix(name)
    except ValueError:
        wanted = f"one of {', '.join(SpacePrefix)}"
        raise fields.error(PREFIX_KEY, wanted, repr(name[:80])) from None


def read_normalizer(fields: Fields) -> list[Form]:
    """Return the normal forms that texts get, in turn.

    Raises
    ------
    FormatError
        The value has a wrong type, or names another form.
    """
    text = fields.text(NORMALIZER_KEY, "")
    names = text.split()
    if len(names) > len(FORMS) or not {*names} <= {*FORMS}:
        wanted = f"some of {', '.join(FORMS)}"
        raise fields.error(NORMALIZER_KEY, wanted, repr(text[:80]))
    return [form for name in names for form in FORMS if form == name]
