r"""WordPiece vocabularies (`tokenizer.ggml.model == "bert"`).

A text is split at blanks, signs and ideographs into words, and each word into the
longest tokens, from left to right; a word that tokens do not make up is unknown (Devlin
et al. 2019). In GGUF a token that begins a word begins with U+2581, and the others with
nothing, where vocab.txt has nothing and `##`.

In a GGUF file the rules are llama.cpp's (`bert_words`). A folder's are those of its
tokenizer.json, which the tokenizers library applies: a word of more than 100 characters
is unknown there, and there only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final, Protocol

from llamacy.tokenizers.attributes import SpacePrefix
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.bert_words import BertWords
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.pipeline import Pipeline, read_pipeline
from llamacy.tokenizers.token_table import iterator
from llamacy.tokenizers.token_type import HIDDEN
from llamacy.tokenizers.vocabulary import SPACE, Defaults, Vocabulary, read_vocabulary

_LONG_WORD: Final = 64  # characters; longer words are too rare to be remembered
_MOST_WORDS: Final = 1 << 16  # remembered ones
_DEFAULTS: Final = Defaults(bos_id=101, unk_id=100)
_SEPARATOR: Final = 102
_SEPARATOR_KEYS: Final = (  # the first is llama.cpp's
    "tokenizer.ggml.seperator_token_id",
    "tokenizer.ggml.separator_token_id",
)

# what llama.cpp takes from a decoded text
_CLEANING: Final = (
    (re.compile(r" (?=[?!.,])"), ""),
    (re.compile(r" ' "), "'"),
    (re.compile(r" (?='(?:s|m|re|ve))"), ""),
)


class WordPieceTokenizer(Tokenizer):
    """Tokenizer of a WordPiece vocabulary.

    Texts stand between the tokens `[CLS]` and `[SEP]`, which are `bos_id` and `eos_id`
    here, whatever a GGUF file says of adding them, as in llama.cpp.

    Parameters
    ----------
    fields : Fields
        Metadata with `tokenizer.ggml.tokens`.

    Raises
    ------
    FormatError
        A key is missing, or its value invalid.
    """

    def __init__(self, fields: Fields) -> None:
        vocabulary = _read_vocabulary(fields)
        super().__init__(vocabulary, space_prefix=SpacePrefix.NONE)
        pipeline = read_pipeline(fields)
        self._words: _Words
        if pipeline is None:
            self._words = _LlamaWords(fields, vocabulary)
        else:
            self._words = _LibraryWords(vocabulary, pipeline)

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """Convert token ids to text; spaces before signs are taken out.

        See `Tokenizer.decode`. Case, accents and spaces of a text are lost in `encode`.
        """
        found = (self._checked(token) for token in iterator(ids))
        pieces = [
            self._tokens[token]
            for token in found
            if not (skip_special and self._types[token] in HIDDEN)
        ]
        return self._words.decode(pieces)

    def _encode_part(self, text: str) -> list[int]:
        return list(self._known(self._words.encode(text)))


def _read_vocabulary(fields: Fields) -> Vocabulary:
    vocabulary = read_vocabulary(fields, _DEFAULTS)
    n_vocab = len(vocabulary.tokens)
    given = (fields.token_id(key, n_vocab) for key in _SEPARATOR_KEYS)
    end = next((i for i in given if i is not None), None)
    if end is None and n_vocab > _SEPARATOR:
        end = _SEPARATOR
    begin = vocabulary.bos_id
    if fields.token_id("tokenizer.ggml.bos_token_id", n_vocab) is None:
        # older files name it so only
        named = fields.token_id("tokenizer.ggml.cls_token_id", n_vocab)
        begin = begin if named is None else named
    is_own = vocabulary.attributes.leftmost  # made by llamacy from a folder
    return replace(
        vocabulary,
        bos_id=begin,
        eos_id=end,
        eog_ids=vocabulary.eog_ids | ({end} if end is not None else set()),
        add_bos=vocabulary.add_bos if is_own else begin is not None,
        add_eos=vocabulary.add_eos if is_own else end is not None,
    )


class _Words(Protocol):
    """Turns a text into ids, and tokens into a text.

    An id beyond the vocabulary stands for unknown words.
    """

    def encode(self, text: str) -> list[int]: ...

    def decode(self, pieces: list[str]) -> str: ...


class _LlamaWords:
    """The rules of llama.cpp, for GGUF files.

    Its tokens are found wherever they fit, so that a U+2581 within a word is the
    beginning of another token.
    """

    def __init__(self, fields: Fields, vocabulary: Vocabulary) -> None:
        lowercase = fields.flag("tokenizer.ggml.normalizer.lowercase")
        lowercase = lowercase is not False
        strips = fields.flag("tokenizer.ggml.normalizer.strip_accents")
        strips = lowercase if strips is None else strips
        self._splitter = BertWords(lowercase=lowercase, strip_accents=strips)
        self._ids = vocabulary.ids.copy()
        for i in vocabulary.not_normal:
            if vocabulary.types[i] in HIDDEN:
                self._ids.pop(vocabulary.tokens[i], None)
        self._longest = max(map(len, self._ids), default=0)
        unknown = vocabulary.unk_id
        self._unknown = [len(vocabulary.tokens) if unknown is None else unknown]
        self._seen: dict[str, list[int]] = {}

    def encode(self, text: str) -> list[int]:
        ids: list[int] = []
        for word in self._splitter.split(text):
            found = self._seen.get(word)
            if found is None:
                found = self._pieces(SPACE + word)
                if len(word) <= _LONG_WORD and len(self._seen) < _MOST_WORDS:
                    self._seen[word] = found
            ids += found
        return ids

    def decode(self, pieces: list[str]) -> str:
        text = "".join(pieces).replace(SPACE, " ")
        for pattern, content in _CLEANING:
            text = pattern.sub(content, text)
        return text.removeprefix(" ")  # with which the first token begins

    def _pieces(self, word: str) -> list[int]:
        ids, get, begin = [], self._ids.get, 0
        while begin < len(word):
            for end in range(min(len(word), begin + self._longest), begin, -1):
                found = get(word[begin:end])
                if found is not None:
                    break
            else:
                return self._unknown
            ids.append(found)
            begin = end
        return ids


class _LibraryWords:
    """The rules of a tokenizer.json, which the tokenizers library applies."""

    def __init__(self, vocabulary: Vocabulary, pipeline: Pipeline) -> None:
        # imported on first use, to keep `import llamacy` fast
        from tokenizers import Tokenizer as Engine
        from tokenizers import decoders
        from tokenizers.models import WordPiece

        tokens = list(vocabulary.tokens)
        hidden = set(vocabulary.not_normal)
        ids = {
            _in_library(token): i
            for i, token in enumerate(tokens)
            if token and i not in hidden
        }
        self._whole = {tokens[i] for i in hidden}  # tokens that are words, as they are
        unknown = " unknown"  # no word has a space
        ids[unknown] = len(tokens) if vocabulary.unk_id is None else vocabulary.unk_id
        model = WordPiece(
            ids,
            unk_token=unknown,
            max_input_chars_per_word=pipeline.longest_word,
            continuing_subword_prefix="##",
        )
        self._engine: Any = Engine(model)
        self._normalizer = pipeline.normalizer()
        self._engine.pre_tokenizer = pipeline.pre_tokenizer()
        self._decoder: Any = decoders.WordPiece("##", cleanup=pipeline.cleans)

    def encode(self, text: str) -> list[int]:
        text = self._normalizer(text)
        encoding = self._engine.encode(text, add_special_tokens=False)
        ids: list[int] = encoding.ids
        return ids

    def decode(self, pieces: list[str]) -> str:
        text: str = self._decoder.decode(
            [one if one in self._whole else _in_library(one) for one in pieces]
        )
        return text


def _in_library(token: str) -> str:
    """Return a token of GGUF's form in that of the library, and of vocab.txt."""
    return token[1:] if token[:1] == SPACE else f"##{token}"
