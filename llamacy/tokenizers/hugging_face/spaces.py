"""What a tokenizer.json with a SentencePiece vocabulary does with spaces."""

from __future__ import annotations

from collections.abc import Iterator

from llamacy.formats.json_text import JsonObject
from llamacy.tokenizers.hugging_face.token_list import SPACE


def space_prefix(whole: JsonObject, *, has_inner_spaces: bool) -> bool:
    """Tell whether a text is given a space to begin with.

    Parameters
    ----------
    whole : all of the file.
    has_inner_spaces : whether tokens have spaces that are not at their beginning.

    Raises
    ------
    UnsupportedError : something happens to the text that SentencePiece does not do.
    """
    is_prefixed = is_marked = False
    for step in _steps(whole, "normalizer", "normalizers"):
        kind = step.text("type")
        if kind == "Prepend" and step.text("prepend") == SPACE:
            is_prefixed = True
        elif kind == "Replace" and _replaces_space(step):
            is_marked = True
        else:
            step.refuse("type", "what marks spaces, and no more", kind)
    for step in _steps(whole, "pre_tokenizer", "pretokenizers"):
        kind = step.text("type")
        if kind == "Metaspace" and step.text("replacement", SPACE) == SPACE:
            if step.flag("split", True) and has_inner_spaces:
                step.refuse("split", "false, for tokens have spaces within", True)
            is_marked = True
            is_prefixed = is_prefixed or _metaspace_prefix(step)
        elif not (kind == "Split" and is_marked and _is_space(step)):
            step.refuse("type", "what marks spaces, and no more", kind)
    if not is_marked:
        whole.refuse("normalizer", f"one that turns spaces into {SPACE}", "none")
    return is_prefixed


def _steps(owner: JsonObject, key: str, inner: str) -> Iterator[JsonObject]:
    """Yield the steps of `owner`, and of a sequence those in it."""
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
