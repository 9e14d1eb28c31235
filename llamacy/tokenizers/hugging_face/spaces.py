"""Reads how a tokenizer.json with a SentencePiece vocabulary treats spaces."""

from __future__ import annotations

from collections.abc import Iterator

from llamacy.formats.json_text import JsonObject
from llamacy.tokenizers.hugging_face.token_list import SPACE


def space_prefix(whole: JsonObject, *, has_inner_spaces: bool) -> bool:
    """Return whether a space is added at the beginning of a text.

    Parameters
    ----------
    whole : JsonObject
        The whole tokenizer.json.
    has_inner_spaces : bool
        Whether tokens have spaces after their first character.

    Raises
    ------
    UnsupportedError
        The file has a step that SentencePiece does not have.
    """
    is_prefixed = is_marked = False
    for step in _steps(whole, "normalizer", "normalizers"):
        kind = step.text("type")
        if kind == "Prepend" and step.text("prepend") == SPACE:
            is_prefixed = True
        elif kind == "Replace" and _replaces_space(step):
            is_marked = True
        else:
            step.refuse("type", "a step that only marks spaces", kind)
    for step in _steps(whole, "pre_tokenizer", "pretokenizers"):
        kind = step.text("type")
        if kind == "Metaspace" and step.text("replacement", SPACE) == SPACE:
            if step.flag("split", True) and has_inner_spaces:
                step.refuse("split", "false, because tokens have inner spaces", True)
            is_marked = True
            is_prefixed = is_prefixed or _metaspace_prefix(step)
        elif not (kind == "Split" and is_marked and _is_space(step)):
            step.refuse("type", "a step that only marks spaces", kind)
    if not is_marked:
        whole.refuse("normalizer", f"one that turns spaces into {SPACE}", "none")
    return is_prefixed


def _steps(owner: JsonObject, key: str, inner: str) -> Iterator[JsonObject]:
    """Yield the step under `key`, or the steps of a sequence there."""
    step = owner.child(key)
    if step is not None and step.text("type") == "Sequence":
        yield from step.children(inner)
    elif step is not None:
        yield step


def _replaces_space(step: JsonObject) -> bool:
    return _is_space(step) and step.text("content") == SPACE


def _is_space(step: JsonObject) -> bool:
    pattern = step.child("pattern")
    return pattern is not None and pattern.get("String") == " "


def _metaspace_prefix(step: JsonObject) -> bool:
    if "prepend_scheme" in step:
        return step.text("prepend_scheme") != "never"
    return step.flag("add_prefix_space", True)  # of older files
