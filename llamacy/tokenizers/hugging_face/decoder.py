"""Checks that a tokenizer.json's decoder is that of its kind of vocabulary.

A token stands for the same bytes wherever it is, so that a text can be shown while it
is being written; and the space that is added to a text is dropped from it again. A
decoder that does more would give other texts than llamacy's.
"""

from __future__ import annotations

from typing import Final

from llamacy.formats.json_text import JsonObject
from llamacy.tokenizers.hugging_face.steps import is_of_text, steps
from llamacy.tokenizers.vocabulary import SPACE

_IDLE: Final = ("ByteFallback", "Fuse")


def check_decoder(whole: JsonObject, *, is_byte_level: bool) -> None:
    """Check the decoder; files without one are decoded in the same way.

    Raises
    ------
    UnsupportedError
        The decoder has a step that changes texts in another way.
    """
    is_whole = False  # whether the texts of the tokens are joined
    for step in steps(whole, "decoder", "decoders"):
        kind = step.text("type")
        is_whole = is_whole or kind == "Fuse"
        if kind in _IDLE or (kind == "ByteLevel" and is_byte_level):
            continue
        if is_byte_level:
            step.refuse("type", "ByteLevel", kind)
        if kind == "Metaspace" and step.text("replacement", SPACE) == SPACE:
            continue
        if kind == "Replace" and _marks(step):
            continue
        if kind != "Strip":
            wanted = f"a step that turns {SPACE} into a space, or bytes into text"
            step.refuse("type", wanted, _named(step, kind))
        if not (is_whole and _strips_one(step)):
            wanted = "one space at the beginning of the whole text"
            step.refuse("content", wanted, step.text("content"))


def _marks(step: JsonObject) -> bool:
    return is_of_text(step, SPACE) and step.text("content") == " "


def _strips_one(step: JsonObject) -> bool:
    start, stop = (step.integer(key, 0, 1 << 32, 0) for key in ("start", "stop"))
    return step.text("content") == " " and start <= 1 and stop == 0


def _named(step: JsonObject, kind: str) -> str:
    """Return a step's kind, and what a Replace replaces."""
    if kind != "Replace":
        return kind
    return f"Replace of {step.get('pattern')!r}"[:200]
