r"""Unigram vocabularies (`tokenizer.ggml.model == "t5"`).

A text becomes the tokens whose scores, logarithms of probabilities, have the greatest
sum (Kudo 2018, Subword regularization). The tokenizers library finds them, in time that
is linear in the text's length. A character without a token costs ten more than the
token of the lowest score, and a run of them becomes one unknown token.

llama.cpp's rules change the text of a GGUF file's model first: characters are replaced
(`character_map`), spaces become U+2581, and `remove_extra_whitespaces` leaves one
between words and one before the first, even without `add_space_prefix`. In a folder the
steps of its tokenizer.json decide (`pipeline`), or else its SentencePiece model, whose
unknown characters may become bytes; llama.cpp never uses tokens of bytes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llamacy.tokenizers.attributes import (
    BYTE_KEY,
    SpacePrefix,
    read_space_prefix,
)
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.character_map import CharacterMap, read_character_map
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.pipeline import Pipeline, read_pipeline
from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import (
    SPACE,
    Defaults,
    Vocabulary,
    byte_of,
    read_vocabulary,
)

_DEFAULTS: Final = Defaults(add_eos=True, eos_id=1, unk_id=2)
_MERGE_KEY: Final = "tokenizer.ggml.remove_extra_whitespaces"


class UnigramTokenizer(Tokenizer):
    """Tokenizer of a Unigram vocabulary.

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
        pipeline = read_pipeline(fields)
        self._merges = fields.flag(_MERGE_KEY) is True
        # made by llamacy from a folder: spaces are SentencePiece's, not llama.cpp's
        self._is_own = vocabulary.attributes.leftmost
        self._splits_words = pipeline is not None and pipeline.splits_words
        super().__init__(vocabulary, space_prefix=self._prefix(fields, pipeline))
        self._strips_each = False  # after a control token, a space may be the text's
        self._replace = _replacing(fields, pipeline)
        self._is_library = pipeline is not None
        scores = fields.floats("tokenizer.ggml.scores", self.n_vocab)
        self._byte_ids = _byte_ids(vocabulary) if fields.flag(BYTE_KEY) else []
        self._engine = _build(vocabulary, scores, pipeline)

    def _prefix(self, fields: Fields, pipeline: Pipeline | None) -> SpacePrefix:
        if pipeline is not None:
            return pipeline.space_prefix
        is_prefixed = fields.flag("tokenizer.ggml.add_space_prefix") is True
        if self._merges and not self._is_own:
            is_prefixed = True
        prefix = SpacePrefix.EACH if is_prefixed else SpacePrefix.NONE
        return read_space_prefix(fields, prefix)

    def _encode_text(self, text: str, *, first: bool, after_special: bool) -> list[int]:
        text = self._replace(text)
        if not text:
            return []
        if self._is_library:
            return self._encode_by_library(text, first, after_special)
        words = [word for word in text.split(" ") if word]
        prefix = self._space_prefix.before(
            text, first=first, after_special=after_special
        )
        if not self._merges:
            keeps = bool(words) or self._is_own
            return self._encode_part((prefix if keeps else "") + text)
        if not words:
            return []
        continues = not after_special and text[0] == " "
        return self._encode_part((prefix or " " * continues) + " ".join(words))

    def _encode_by_library(
        self, text: str, first: bool, after_special: bool
    ) -> list[int]:
        if self._splits_words:
            return self._encode_part(text)
        text = text.replace(SPACE, " ")
        prefix = self._space_prefix.before(
            text, first=first, after_special=after_special
        )
        return self._encode_part(prefix + text)

    def _encode_part(self, text: str) -> list[int]:
        if not self._is_library:
            text = text.replace(" ", SPACE)
        encoding = self._engine.encode(text, add_special_tokens=False)
        ids: list[int] = encoding.ids
        if self._byte_ids and self._unknown in ids:
            ids = self._in_bytes(encoding)
        return list(self._known(ids))

    @property
    def _unknown(self) -> int:
        return self.n_vocab if self.unk_id is None else self.unk_id

    def _in_bytes(self, encoding: Any) -> list[int]:
        """Return ids with unknown characters as their bytes."""
        ids: list[int] = []
        for i, text in zip(encoding.ids, encoding.tokens, strict=True):
            if i == self._unknown:
                ids += [self._byte_ids[byte] for byte in text.encode()]
            else:
                ids.append(i)
        return ids


def _replacing(fields: Fields, pipeline: Pipeline | None) -> Callable[[str], str]:
    if pipeline is not None:
        return pipeline.normalizer()
    return CharacterMap(fields).apply if read_character_map(fields) else str


def _byte_ids(vocabulary: Vocabulary) -> list[int]:
    """Return the id of each byte's token; nothing if one of them is missing."""
    found: dict[int, int] = {}
    for i in vocabulary.not_normal:
        if vocabulary.types[i] == TokenType.BYTE:
            byte = byte_of(vocabulary.tokens[i])
            if byte is not None:
                found[byte] = i
    return [found[byte] for byte in range(256)] if len(found) == 256 else []


def _build(
    vocabulary: Vocabulary, scores: list[float], pipeline: Pipeline | None
) -> Any:
    # imported on first use, to keep `import llamacy` fast
    from tokenizers import Tokenizer as Engine
    from tokenizers.models import Unigram

    engine = Engine(
        Unigram(_pieces(vocabulary, scores, pipeline), _unknown(vocabulary))
    )
    if pipeline is not None:
        engine.pre_tokenizer = pipeline.pre_tokenizer()
    return engine


def _unknown(vocabulary: Vocabulary) -> int:
    unknown = vocabulary.unk_id
    return len(vocabulary.tokens) if unknown is None else unknown


def _pieces(
    vocabulary: Vocabulary, scores: list[float], pipeline: Pipeline | None
) -> list[tuple[str, float]]:
    """Return the tokens' texts and scores for the library.

    Tokens that text must not produce get a text with a space, which is in no text
    whose spaces are marked, and the lowest score, which sets the unknown token's.
    """
    tokens, types = vocabulary.tokens, vocabulary.types
    others = set(vocabulary.not_normal)
    lowest = min(
        (score for i, score in enumerate(scores) if i not in others), default=0.0
    )
    pieces = list(zip(tokens, scores, strict=True))
    for i in vocabulary.not_normal:
        pieces[i] = f" {i}", lowest
        if types[i] == TokenType.USER_DEFINED and pipeline is None and tokens[i]:
            pieces[i] = tokens[i], 0.0  # llama.cpp prefers them to all others
        elif types[i] == TokenType.BYTE and pipeline is not None:
            pieces[i] = tokens[i], scores[i]  # found in texts, too, by the library
    for i in (i for i, text in enumerate(tokens) if not text):
        pieces[i] = f" {i}", lowest
    if vocabulary.unk_id is None:
        pieces.append((f" {len(pieces)}", lowest))
    return pieces
