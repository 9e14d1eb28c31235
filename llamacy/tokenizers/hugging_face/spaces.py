"""Reads how a tokenizer.json with a SentencePiece vocabulary treats spaces."""

from __future__ import annotations

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.attributes import FORMS, PREFIX_KEY, SpacePrefix
from llamacy.tokenizers.hugging_face.steps import is_of_text, steps
from llamacy.tokenizers.pipeline import metaspace_prefix
from llamacy.tokenizers.vocabulary import SPACE


def read_spaces(
    whole: JsonObject, *, has_inner_spaces: bool
) -> tuple[SpacePrefix, list[str]]:
    """Return where spaces are added, and the normal forms that texts get before.

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
    prefix = SpacePrefix.NONE
    forms: list[str] = []
    is_marked = False
    for step in steps(whole, "normalizer", "normalizers"):
        kind = step.text("type")
        if kind == "Prepend" and step.text("prepend") == SPACE:
            prefix = SpacePrefix.EACH
        elif kind == "Replace" and _replaces_space(step):
            is_marked = True
        elif kind in FORMS and not is_marked and kind not in forms:
            forms.append(kind)
        else:
            wanted = "a normal form of Unicode, or a step that only marks spaces"
            step.refuse("type", wanted, kind)
    for step in steps(whole, "pre_tokenizer", "pretokenizers"):
        kind = step.text("type")
        if kind == "Metaspace" and step.text("replacement", SPACE) == SPACE:
            if step.flag("split", True) and has_inner_spaces:
                step.refuse("split", "false, because tokens have inner spaces", True)
            is_marked = True
            found = metaspace_prefix(step)
            if SpacePrefix.NONE not in (found, prefix):
                step.refuse("prepend_scheme", "never, after a step of Prepend", found)
            prefix = prefix if found is SpacePrefix.NONE else found
        elif not (kind == "Split" and is_marked and _is_idle(step)):
            step.refuse("type", "a step that only marks spaces", kind)
    if not is_marked:
        whole.refuse("normalizer", f"one that turns spaces into {SPACE}", "none")
    return prefix, forms


def keep_word_marks(whole: JsonObject, metadata: Metadata) -> None:
    """Let normalized tokens be found where tokenizer.json's normalizer leaves them.

    For a vocabulary of tokenizer.model, which says itself where spaces are added.
    """
    found = steps(whole, "normalizer", "normalizers")
    is_prefixed = metadata.values.get("tokenizer.ggml.add_space_prefix")
    if is_prefixed and any(step.text("type") == "Prepend" for step in found):
        metadata.text(PREFIX_KEY, SpacePrefix.EACH.value)


def _replaces_space(step: JsonObject) -> bool:
    return is_of_text(step, " ") and step.text("content") == SPACE


def _is_idle(step: JsonObject) -> bool:
    """Whether a step splits at spaces, of which a marked text has none."""
    drops_all = step.text("behavior") == "Removed" and step.flag("invert", False)
    return is_of_text(step, " ") and not drops_all
