r"""BPE on characters: Gemma 4's (`tokenizer.ggml.model == "gemma4"`) and its kin.

Characters are merged pair by pair; those without a token become their bytes, in tokens
like `<0xE2>`. In three of the four kinds spaces become U+2581, and merges go through
whole lines: there are no words. A U+2581 in a text is a space, as in the models' own
tokenizers. Other kinds than Gemma 4's are `gpt2` to GGUF, with a name of their own in
`tokenizer.ggml.pre`, or `whitespace`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from llamacy.errors import UnsupportedError
from llamacy.printable import shown
from llamacy.tokenizers.attributes import (
    BLANKS,
    SpacePrefix,
    read_normalizer,
    read_space_prefix,
)
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.bpe import build_model
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.token_type import HIDDEN, TokenType
from llamacy.tokenizers.vocabulary import (
    SPACE,
    Defaults,
    Vocabulary,
    byte_of,
    read_vocabulary,
)

_MODEL: Final = "tokenizer.ggml.model"
_PRE: Final = "tokenizer.ggml.pre"
_LINES: Final = re.compile(r"\n+|[^\n]+")
_WORDS: Final = re.compile(f"[^{BLANKS}]+|[{BLANKS}]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """The rules of one kind of these vocabularies.

    Attributes
    ----------
    parts : Pattern
        Parts of a text that merges do not cross.
    marks_spaces : bool
        Whether spaces become U+2581.
    keeps_newlines : bool
        Whether a run of newlines that is a token becomes it, whatever the merges say.
    begins : bool
        Whether texts begin with BOS, whatever the file says: early files say the wrong
        thing, and llama.cpp does not believe them either.
    types_bytes : bool
        Whether the file gives tokens of bytes their type.
    drops : bool
        Whether nothing stands for characters with neither a token nor bytes.
    """

    parts: re.Pattern[str] = _LINES
    marks_spaces: bool = True
    keeps_newlines: bool = False
    begins: bool = False
    types_bytes: bool = False
    drops: bool = True


_GEMMA_4: Final = _Rules(
    keeps_newlines=True, begins=True, types_bytes=True, drops=False
)
_LIKE_GEMMA_4: Final = _Rules(keeps_newlines=True, begins=True)
_RULES: Final = {
    "gemma4": _LIKE_GEMMA_4,
    "granite-embed-multi-311m": _LIKE_GEMMA_4,
    "sarvam-moe": _Rules(),
    "whitespace": _Rules(parts=_WORDS, marks_spaces=False),
}
"""Rules by the name in `tokenizer.ggml.pre`, for files of other models."""


class CharacterBPETokenizer(Tokenizer):
    """Tokenizer of a BPE vocabulary of characters, with tokens for single bytes.

    Parameters
    ----------
    fields : Fields
        Metadata with `tokenizer.ggml.tokens` and `merges`.

    Raises
    ------
    FormatError
        A key is missing, or its value invalid.
    UnsupportedError
        `tokenizer.ggml.pre` is not that of the file's model.
    """

    def __init__(self, fields: Fields) -> None:
        self._rules = rules = _read_rules(fields)
        defaults = Defaults(add_bos=rules.begins, may_repeat=True)
        vocabulary = read_vocabulary(fields, defaults)
        if rules.begins:
            vocabulary = replace(vocabulary, add_bos=vocabulary.bos_id is not None)
        super().__init__(
            vocabulary,
            space_prefix=read_space_prefix(fields, SpacePrefix.NONE),
            normal_forms=read_normalizer(fields),
        )
        ids, self._in_bytes = _mergeable(vocabulary, types_bytes=rules.types_bytes)
        self._newlines = (
            {text: i for text, i in ids.items() if not text.strip("\n")}
            if rules.keeps_newlines
            else {}
        )
        self._engine = _build(fields, vocabulary, ids)

    def _encode_part(self, text: str) -> list[int]:
        ids: list[int] = []
        if self._rules.marks_spaces:
            text = text.replace(" ", SPACE)
        for part in self._rules.parts.findall(text):
            newlines = self._newlines.get(part)
            if newlines is not None:
                ids.append(newlines)
                continue
            found = self._engine.encode(part, add_special_tokens=False).ids
            if self._rules.drops:
                ids += [i for i in found if i < self.n_vocab]
            else:
                ids += self._known(found)
        return ids

    def _find_bytes(self, token: int) -> bytes:
        if token in self._in_bytes:
            return self._in_bytes[token]
        if self._types[token] == TokenType.USER_DEFINED:
            return self._text_bytes(self._tokens[token])
        return super()._find_bytes(token)

    def _text_bytes(self, piece: str) -> bytes:
        text = piece.replace(SPACE, " ") if self._rules.marks_spaces else piece
        return text.encode()


class WhitespaceTokenizer(CharacterBPETokenizer):
    """Tokenizer of a `whitespace` vocabulary: white space only separates words.

    Parameters
    ----------
    fields : Fields
        As for `CharacterBPETokenizer`.
    """

    def __init__(self, fields: Fields) -> None:
        super().__init__(fields)
        self._lowers = fields.flag("tokenizer.ggml.normalizer.lowercase") is True

    def _encode_part(self, text: str) -> list[int]:
        if self._lowers:  # one character for one, as in llama.cpp
            text = "".join(char.lower()[0] for char in text)
        encode = super()._encode_part
        words = (part for part in _WORDS.findall(text) if part[0] not in BLANKS)
        return [i for word in words for i in encode(word)]


def _read_rules(fields: Fields) -> _Rules:
    """Return the rules that a file's model and pre-tokenizer name."""
    model = fields.text(_MODEL)
    if model == "gemma4":
        return _GEMMA_4
    name = fields.text(_PRE, "")
    if model == "whitespace" and name != model:
        raise UnsupportedError(fields.path, _PRE, model, shown(name))
    return _RULES[name]


def _mergeable(
    vocabulary: Vocabulary, *, types_bytes: bool
) -> tuple[dict[str, int], dict[int, bytes]]:
    """Return the ids of tokens that text can produce, and the bytes of some tokens.

    Bytes for which the vocabulary has no token get ids beyond it.
    """
    ids, in_bytes = vocabulary.ids.copy(), {}
    added = vocabulary.attributes.added
    for i in vocabulary.not_normal:
        text, kind = vocabulary.tokens[i], vocabulary.types[i]
        if kind == TokenType.BYTE and (byte := byte_of(text)) is not None:
            in_bytes[f"<0x{byte:02X}>"] = i
        elif i in added or (kind in HIDDEN and i not in vocabulary.ordinary):
            ids.pop(text, None)
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    if not types_bytes:
        in_bytes = {name: ids[name] for name in names if name in ids}
    missing = [name for name in names if name not in in_bytes]
    beyond = {name: i for i, name in enumerate(missing, len(vocabulary.tokens))}
    values = {i: bytes([names.index(name)]) for name, i in in_bytes.items()}
    return ids | in_bytes | beyond, values


def _build(fields: Fields, vocabulary: Vocabulary, ids: dict[str, int]) -> Any:
    # imported on first use, to keep `import llamacy` fast
    from tokenizers import Tokenizer as Engine

    return Engine(build_model(fields, vocabulary, ids, byte_fallback=True))
