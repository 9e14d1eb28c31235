"""Reads the object `model` of a tokenizer.json: tokens and merges."""

from __future__ import annotations

from collections.abc import Iterator

from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject
from llamacy.printable import shown


def read_texts(model: JsonObject) -> dict[int, str]:
    """Return the tokens by id.

    Raises
    ------
    FormatError
        An id is invalid, or two tokens have the same one.
    """
    ids = model.child("vocab")
    if ids is None:
        model.fail("vocab", "an object", "no such key")
    texts: dict[int, str] = {}
    for text, i in ids.values.items():
        if type(i) is not int or not 0 <= i < MAX_VOCAB:
            ids.fail(shown(text), f"an id from 0 to {MAX_VOCAB - 1}", i)
        texts[i] = text
    if len(texts) != len(ids.values):
        model.fail("vocab", "an id for each token", "the same id for two")
    return texts


def read_merges(model: JsonObject) -> Iterator[tuple[str, str]]:
    """Yield the pairs to merge, in order of priority.

    Older files store a pair as one string, separated by a space.

    Raises
    ------
    FormatError
        A merge is not a pair of tokens.
    """
    for i, merge in enumerate(model.items("merges")):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        is_pair = isinstance(pair, list) and len(pair) == 2
        if not is_pair or not all(isinstance(one, str) and one for one in pair):
            model.fail(f"merges[{i}]", "two tokens", merge)
        yield pair[0], pair[1]


def joined_merges(model: JsonObject) -> list[str]:
    """Return the pairs to merge as GGUF has them: with a space between.

    Raises
    ------
    FormatError
        A merge is not a pair of tokens, or one of them has a space.
    """
    merges = []
    for i, (first, second) in enumerate(read_merges(model)):
        merges.append(f"{first} {second}")
        if merges[-1].count(" ") != 1:
            model.fail(f"merges[{i}]", "two tokens without spaces", merges[-1])
    return merges
