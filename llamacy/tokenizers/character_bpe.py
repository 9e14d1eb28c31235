r"""BPE on characters (`tokenizer.ggml.model == "gemma4"`).

Spaces become U+2581, and characters are merged pair by pair, in whole lines: there are
no words. Characters without a token become their bytes, in tokens like `<0xE2>`. A run
of newlines that is a token becomes that token, whatever the merges say.

A U+2581 in a text is a space, as in the model's own tokenizer.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from llamacy.tokenizers.attributes import (
    SpacePrefix,
    read_normalizer,
    read_space_prefix,
)
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.bpe import build_model
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.token_type import HIDDEN, TokenType
from llamacy.tokenizers.vocabulary import (
    Defaults,
    Vocabulary,
    byte_of,
    read_vocabulary,
)

_SPACE: Final = "\u2581"  # stands for a space in the vocabulary
_LINES: Final = re.compile(r"\n+|[^\n]+")


class CharacterBPETokenizer(Tokenizer):
    """Tokenizer of a BPE vocabulary of characters, with tokens for single bytes.

    Texts begin with the BOS token, whatever the file says: early files say the wrong
    thing, and llama.cpp does not believe them either.

    Parameters
    ----------
    fields : Fields
        Metadata with `tokenizer.ggml.tokens` and `merges`.

    Raises
    ------
    FormatError
        A key is missing, or its value invalid.
    """

    def __init__(self, fields: Fields) -> None:
        defaults = Defaults(add_bos=True, may_repeat=True)
        vocabulary = read_vocabulary(fields, defaults)
        vocabulary = replace(vocabulary, add_bos=vocabulary.bos_id is not None)
        super().__init__(
            vocabulary,
            space_prefix=read_space_prefix(fields, SpacePrefix.NONE),
            normal_forms=read_normalizer(fields),
        )
        ids = _mergeable(vocabulary)
        self._newlines = {text: i for text, i in ids.items() if not text.strip("\n")}
        self._engine = _build(fields, vocabulary, ids)

    def _encode_part(self, text: str) -> list[int]:
        ids: list[int] = []
        for line in _LINES.findall(text.replace(" ", _SPACE)):
            newlines = self._newlines.get(line)
            if newlines is not None:
                ids.append(newlines)
                continue
            encoding = self._engine.encode(line, add_special_tokens=False)
            ids += self._known(encoding.ids)
        return ids

    def _find_bytes(self, token: int) -> bytes:
        if self._types[token] == TokenType.USER_DEFINED:
            return self._text_bytes(self._tokens[token])
        return super()._find_bytes(token)

    def _text_bytes(self, piece: str) -> bytes:
        return piece.replace(_SPACE, " ").encode()


def _mergeable(vocabulary: Vocabulary) -> dict[str, int]:
    """Return the ids of tokens that text can produce.

    Bytes for which the vocabulary has no token get ids beyond it.
    """
    ids, in_bytes = vocabulary.ids.copy(), {}
    for i in vocabulary.not_normal:
        text, kind = vocabulary.tokens[i], vocabulary.types[i]
        if kind == TokenType.BYTE and (byte := byte_of(text)) is not None:
            in_bytes[f"<0x{byte:02X}>"] = i
        elif kind in HIDDEN and i not in vocabulary.ordinary:
            ids.pop(text, None)
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    missing = [name for name in names if name not in in_bytes]
    beyond = {name: i for i, name in enumerate(missing, len(vocabulary.tokens))}
    return ids | in_bytes | beyond


def _build(fields: Fields, vocabulary: Vocabulary, ids: dict[str, int]) -> Any:
    # imported on first use, to keep `import llamacy` fast
    from tokenizers import Tokenizer as Engine

    return Engine(build_model(fields, vocabulary, ids, byte_fallback=True))
