"""Reads the tokens that a tokenizer.json's post-processor puts around a text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llamacy.formats.json_text import JsonObject
from llamacy.tokenizers.hugging_face.steps import steps

Around = tuple[list[str], list[str]]
"""Texts of the tokens before a text, and of those after it."""


def read_processor(whole: JsonObject) -> Around | None:
    """Return the texts of the tokens before a text and after it; None: it is silent.

    Raises
    ------
    FormatError
        A step is broken.
    UnsupportedError
        The post-processor has a step of an unknown kind.
    """
    if "post_processor" not in whole:
        return None
    before: list[str] = []
    after: list[str] = []
    for step in steps(whole, "post_processor", "processors"):
        kind = step.text("type")
        if kind == "ByteLevel":
            continue  # it moves offsets only
        if kind == "TemplateProcessing":
            own = list(_template(step))
        elif kind in ("BertProcessing", "RobertaProcessing"):
            own = [_pair(step, "cls"), None, _pair(step, "sep")]
        else:
            step.refuse("type", "TemplateProcessing or ByteLevel", kind)
        if own.count(None) != 1:
            step.refuse("single", "the text once", step.get("single"))
        at = own.index(None)
        # steps after this one put their tokens around this one's
        before = [text for text in own[:at] if text is not None] + before
        after += [text for text in own[at + 1 :] if text is not None]
    return before, after


def has_two_ends(whole: JsonObject) -> bool:
    """Whether the token that ends a text stands twice between the texts of a pair."""
    if "post_processor" not in whole:
        return False
    for step in steps(whole, "post_processor", "processors"):
        kind = step.text("type")
        if kind == "RobertaProcessing":
            return True
        if kind == "TemplateProcessing" and "pair" in step:
            own = list(_template(step, "pair"))
            texts = [i for i, part in enumerate(own) if part is None]
            between = own[texts[0] + 1 : texts[-1]] if texts else []
            return len(between) == 2 and between[0] == between[1]
    return False


def _template(step: JsonObject, name: str = "single") -> Iterator[str | None]:
    """Yield the texts of special tokens; None stands for a text between them."""
    known = step.child("special_tokens")
    for part in step.children(name):
        special = part.child("SpecialToken")
        if special is None:
            if part.child("Sequence") is None:
                step.refuse(name, "SpecialToken or Sequence", part.values)
            yield None
            continue
        of_token = special.text("id")
        token = known.child(of_token) if known is not None else None
        texts = token.items("tokens") if token is not None else [of_token]
        for text in texts:
            if not isinstance(text, str):
                step.fail("special_tokens", "texts of tokens", text)
            yield text


def _pair(step: JsonObject, key: str) -> str:
    found: Any = step.items(key)
    if len(found) != 2 or not isinstance(found[0], str):
        step.fail(key, "a token's text and id", found)
    text: str = found[0]
    return text
