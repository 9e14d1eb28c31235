"""Byte-level BPE vocabularies (`tokenizer.ggml.model == "gpt2"`).

The vocabulary's own pre-tokenizer splits text into words; the bytes of each word,
mapped to 256 printable characters, are merged pair by pair (Radford et al. 2019). The
tokenizers library pre-tokenizes and merges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from llamacy.errors import UnsupportedError
from llamacy.printable import shown
from llamacy.tokenizers.attributes import (
    SpacePrefix,
    read_normalizer,
    read_space_prefix,
)
from llamacy.tokenizers.base import Tokenizer
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.pretokenizers import (
    CHARACTER_PRES,
    PRETOKENIZERS,
    PreTokenizer,
)
from llamacy.tokenizers.token_type import HIDDEN
from llamacy.tokenizers.vocabulary import Defaults, Vocabulary, read_vocabulary

_MERGES = "tokenizer.ggml.merges"
_PRE = "tokenizer.ggml.pre"

# The patterns backtrack within runs of white space and digits, some of them in
# quadratic time, and a little within words. After ten million steps of backtracking the
# library panics, so longer runs are split first.
_RUN = re.compile(r"\s+|\d+|[^\s\d]+")
_LONG_RUN = 10_000  # characters
_LONG_WORD = 1_000_000  # characters

_LONG_TOKEN = 1 << 14  # characters; far more than a token of any real vocabulary has


def _byte_chars() -> list[str]:
    """Return GPT-2's character for each byte: itself if printable, else from U+0100."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (chr(0x100 + i) for i in range(256))
    return [chr(b) if b in printable else next(others) for b in range(256)]


_BYTE_CHARS = _byte_chars()
_CHAR_BYTES = {char: byte for byte, char in enumerate(_BYTE_CHARS)}


class BPETokenizer(Tokenizer):
    """Tokenizer of a byte-level BPE vocabulary.

    Parameters
    ----------
    fields : Fields
        Metadata with `tokenizer.ggml.tokens`, `merges` and `pre`.

    Raises
    ------
    FormatError
        A key is missing, or its value invalid.
    UnsupportedError
        The pre-tokenizer is unknown.
    """

    def __init__(self, fields: Fields) -> None:
        name = fields.text(_PRE, "default") or "default"
        if name not in PRETOKENIZERS:
            known = f"one of {', '.join(sorted((*PRETOKENIZERS, *CHARACTER_PRES)))}"
            raise UnsupportedError(fields.path, _PRE, known, shown(name))
        pre = PRETOKENIZERS[name]
        vocabulary = read_vocabulary(fields, Defaults(add_bos=pre.add_bos))
        super().__init__(
            vocabulary,
            space_prefix=read_space_prefix(fields, SpacePrefix.NONE),
            normal_forms=read_normalizer(fields),
        )
        self._strips_space = False  # the library's decoder keeps a space it added
        self._tokenizer = _build(fields, vocabulary, pre)

    def _encode_part(self, text: str) -> list[int]:
        ids: list[int] = []
        for part in _bounded(text):
            encoding = self._tokenizer.encode(part, add_special_tokens=False)
            ids += self._known(encoding.ids)
        return ids

    def _text_bytes(self, piece: str) -> bytes:
        try:
            return bytes(map(_CHAR_BYTES.__getitem__, piece))
        except KeyError:  # a token that is not mapped from bytes
            return piece.encode()


def _bounded(text: str) -> Iterator[str]:
    """Split a text within runs that are too long for the patterns."""
    start = 0
    if len(text) > _LONG_RUN:
        for run in _RUN.finditer(text):
            first = text[run.start()]
            most = _LONG_RUN if first.isspace() or first.isdecimal() else _LONG_WORD
            for cut in range(run.start() + most, run.end(), most):
                yield text[start:cut]
                start = cut
    yield text[start:]


def _build(fields: Fields, vocabulary: Vocabulary, pre: PreTokenizer) -> Any:
    # imported on first use, to keep `import llamacy` fast
    from tokenizers import Regex, Tokenizer, pre_tokenizers

    ids = _mergeable(vocabulary)
    model = build_model(fields, vocabulary, ids, ignore_merges=pre.ignore_merges)
    engine = Tokenizer(model)
    splits = [pre_tokenizers.Split(Regex(p), "isolated") for p in pre.patterns]
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    engine.pre_tokenizer = pre_tokenizers.Sequence([*splits, to_bytes])
    return engine


def build_model(
    fields: Fields, vocabulary: Vocabulary, ids: dict[str, int], **options: bool
) -> Any:
    """Build the library's model of a vocabulary.

    Parameters
    ----------
    fields : Fields
        Metadata with the merges.
    vocabulary : Vocabulary
        The vocabulary.
    ids : dict of str to int
        Ids of the tokens that text can produce; some may be beyond the vocabulary.
    **options : bool
        Options of the library's class.

    Raises
    ------
    FormatError
        A merge is not of two tokens, or the library refuses the vocabulary.
    """
    from tokenizers.models import BPE

    merges = fields.strings(_MERGES)
    longest = max(map(len, vocabulary.tokens))
    # The library writes the result of a merge into a buffer of the longest token's size
    # and panics if it does not fit. An extra token that no text contains enlarges the
    # buffer to four bytes per character, which fits every merge that forms a token.
    room = "\0" * (4 * min(longest, _LONG_TOKEN) + 1)
    if max(map(len, merges), default=0) <= longest + 1 <= _LONG_TOKEN:
        try:
            roomy = ids | {room: len(vocabulary.tokens) + len(_BYTE_CHARS)}
            sound = _SoundMerges(merges)
            return BPE(roomy, sound, **options)
        except Exception:  # the library raises nothing more specific
            pass  # some merges are unsound, and are left out below
    pairs = _split_each(fields, merges, ids)
    try:
        return BPE(ids, pairs, **options)
    except Exception as error:
        wanted, found = "a vocabulary that tokenizers accepts", str(error)[:200]
        raise fields.error("tokenizer.ggml.tokens", wanted, found) from None


def _mergeable(vocabulary: Vocabulary) -> dict[str, int]:
    """Return the ids of tokens that text can produce.

    Bytes for which the vocabulary has no token get ids beyond it.
    """
    ids, added = vocabulary.ids.copy(), vocabulary.attributes.added
    for i in vocabulary.not_normal:
        is_hidden = vocabulary.types[i] in HIDDEN and i not in vocabulary.ordinary
        if is_hidden or i in added:
            ids.pop(vocabulary.tokens[i], None)
    missing = [char for char in _BYTE_CHARS if char not in ids]
    ids.update({c: i for i, c in enumerate(missing, len(vocabulary.tokens))})
    return ids


class _SoundMerges(Sequence[tuple[str, str]]):
    """Merges, split into pairs on iteration.

    There are hundreds of thousands: holding all pairs in a list would take longer than
    the rest of loading.
    """

    _CHUNK = 2048

    def __init__(self, merges: list[str]) -> None:
        self._merges = merges

    def __len__(self) -> int:
        return len(self._merges)

    def __getitem__(self, index: Any) -> Any:
        return tuple(self._merges[index].split(" "))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        starts = range(0, len(self._merges), self._CHUNK)
        return chain.from_iterable(map(self._pairs, starts))

    def _pairs(self, start: int) -> Iterator[tuple[str, str]]:
        chunk = self._merges[start : start + self._CHUNK]
        flat = " ".join(chunk).split(" ")
        if len(flat) != 2 * len(chunk):
            raise ValueError("a merge is not of two tokens")
        parts = iter(flat)
        return zip(parts, parts, strict=True)


def _split_each(
    fields: Fields, merges: list[str], ids: dict[str, int]
) -> list[tuple[str, str]]:
    """Split merges into pairs, and leave out those without effect.

    Files in circulation have merges of, or into, tokens that they lack.
    """
    pairs = []
    for i, merge in enumerate(merges):
        first, _, second = merge.partition(" ")
        if not (first and second) or " " in second:
            wanted = "two tokens with a space between"
            raise fields.error(f"{_MERGES}[{i}]", wanted, repr(merge[:80]))
        if {first, second, first + second} <= ids.keys():
            pairs.append((first, second))
    return pairs
