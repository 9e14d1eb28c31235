"""The object ``model`` of a tokenizer.json: tokens, and pairs that are merged."""

from __future__ import annotations

from collections.abc import Iterator

from llamacy.errors import shown
from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject


def read_texts(model: JsonObject) -> dict[int, str]:
    """Read the tokens by their ids.

    Raises
    ------
    FormatError : something else than ids, or one id for two tokens.
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
    """Read the pairs, from the first that is merged to the last.

    Older files have them as one string with a space between.

    Raises
    ------
    FormatError : something else than pairs.
    """
    for i, merge in enumerate(model.items("merges")):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        is_pair = isinstance(pair, list) and len(pair) == 2
        if not is_pair or not all(isinstance(one, str) and one for one in pair):
            model.fail(f"merges[{i}]", "two tokens", merge)
        yield pair[0], pair[1]
