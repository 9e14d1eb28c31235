"""Labels as token ids: the ways in which each may follow a prompt.

A label may follow with a space before it or without; the model, not the caller, knows
which is usual. So each label has two forms, and the probabilities of both add up. After
a text, a form has the tokens that prompt and label have when they are tokenized
together: a vocabulary that joins a space to the word after it has one token for the
space at a prompt's end and the label. Where labels change the prompt's last tokens in
this way, these tokens belong to the forms of all labels. After token ids, as those of a
conversation, a form has the tokens of the label alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.generation.engine import Engine
from llamacy.generation.prefix_cache import common_prefix
from llamacy.generation.prompts import Prompt

Form: TypeAlias = tuple[int, ...]
"""The tokens of one way to write a label after a prompt, at least one."""


def checked_labels(labels: object) -> list[str]:
    """Return labels as a list.

    Raises
    ------
    ArgumentError
        No labels; or one that is not a str, is empty, or is there twice.
    """
    is_scalar = getattr(labels, "shape", None) == ()  # of NumPy: an Iterable, too
    if isinstance(labels, str | bytes) or not isinstance(labels, Iterable) or is_scalar:
        raise ArgumentError(f"labels: wanted a list of str, found {short(labels)}")
    checked: dict[str, str] = {}  # by the label without its space
    for label in labels:
        if not isinstance(label, str):
            raise ArgumentError(
                f"labels: wanted a list of str, found {short(label)} in it"
            )
        if not label.strip():
            raise ArgumentError(
                f"labels: wanted labels with text, found {short(label)}"
            )
        bare = label.removeprefix(" ")
        if bare in checked:
            found = f"{short(checked[bare])} and {short(label)}"
            raise ArgumentError(f"labels: wanted different labels, found {found}")
        checked[bare] = label
    if not checked:
        raise ArgumentError("labels: wanted at least one, found none")
    return list(checked.values())


def label_forms(
    engine: Engine, prompt: Prompt, labels: Sequence[str], name: str = "prompt"
) -> tuple[list[int], list[tuple[Form, ...]]]:
    """Return a prompt's token ids, and the forms of each label after them.

    Raises
    ------
    ArgumentError
        A bad prompt, which the error calls `name`; or a label that the vocabulary
        cannot write, or not apart from another.
    """
    ids = engine.prompt_ids(prompt, name=name)
    alone = {text: _alone(engine, text) for each in labels for text in _texts(each)}
    forms = alone
    if isinstance(prompt, str):
        whole = {text: engine.prompt_ids(prompt + text) for text in alone}
        n_common = min(common_prefix(ids, one[:-1]) for one in whole.values())
        if n_common:  # otherwise nothing would come before the labels
            ids = ids[:n_common]
            forms = {text: tuple(one[n_common:]) for text, one in whole.items()}
    found = [tuple({forms[text]: None for text in _texts(each)}) for each in labels]
    _check_apart(found, labels)
    return ids, found


def _texts(label: str) -> tuple[str, ...]:
    """Return a label without a space before it, and with one."""
    bare = label.removeprefix(" ")
    return (label,) if bare[0].isspace() else (bare, f" {bare}")


def _alone(engine: Engine, text: str) -> Form:
    """Return the tokens of a label after token ids."""
    try:
        ids = engine.tokenizer.get().encode(text, add_bos=False, continues=True)
    except ArgumentError as error:
        raise ArgumentError(f"labels: {short(text)}: {error}") from None
    if not ids:
        raise ArgumentError(
            f"labels: {short(text)}: the vocabulary has no tokens for it"
        )
    return tuple(ids)


def _check_apart(forms: Sequence[tuple[Form, ...]], labels: Sequence[str]) -> None:
    """Check that no form belongs to two labels, as unknown characters may."""
    owners: dict[Form, str] = {}
    for each, label in zip(forms, labels, strict=True):
        for form in each:
            other = owners.setdefault(form, label)
            if other is not label:
                found = f"the same tokens for {short(other)} and {short(label)}"
                raise ArgumentError(
                    f"labels: wanted labels that the vocabulary tells apart, "
                    f"found {found}"
                )
