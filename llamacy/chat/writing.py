"""Checked messages written by a template, as token ids."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llamacy.chat.disguise import Disguise
from llamacy.chat.formats import ChatFormat
from llamacy.chat.messages import mapped, texts_in
from llamacy.chat.template import render
from llamacy.errors import ArgumentError

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer

_TOOLS = re.compile(r"\btools\b")


class Writer:
    """Writes conversations; no name in them counts as a control token.

    Parameters
    ----------
    form : has the template.
    tokenizer : the model's.
    tools : schemas of the functions that the model is told of.
    arguments : other names that the template knows.

    Raises
    ------
    ArgumentError : the arguments are no dict, or the template takes no tools.
    """

    def __init__(
        self,
        form: ChatFormat,
        tokenizer: Tokenizer,
        tools: Sequence[Mapping[str, Any]] = (),
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(arguments or {}, Mapping):
            raise ArgumentError(
                f"template_arguments: wanted a dict, found {arguments!r}"
            )
        if tools and not _TOOLS.search(form.template):
            raise ArgumentError(
                f"tools: wanted a template that takes some, found {form.name}, "
                "which does not"
            )
        self._form = form
        self._tokenizer = tokenizer
        self._given = {**(arguments or {}), "tools": list(tools) or None}

    def __call__(self, messages: list[dict[str, Any]]) -> list[int]:
        """Write checked messages as a prompt, up to where the answer begins."""
        tokenizer = self._tokenizer
        given = {**self._given, "messages": messages}
        taken = [self._form.template, *texts_in("template_arguments", given)]
        disguise = Disguise(tokenizer.markers, taken)
        values = {
            "add_generation_prompt": True,
            **mapped("template_arguments", given, disguise.put_on),
            **dict(_special_texts(tokenizer)),
        }
        text = render(self._form.template, self._form.name, values)
        ids = tokenizer.encode_parts(disguise.taken_off(tokenizer.split(text)))
        bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
        if bos and ids[:2] == bos * 2:
            return ids[1:]
        if tokenizer.add_bos and ids[:1] != bos:
            return bos + ids
        return ids


def _special_texts(tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """Names and texts of the special tokens that templates write by name."""
    for name in ("bos", "eos", "unk"):
        token = getattr(tokenizer, f"{name}_id")
        if token is not None:
            yield f"{name}_token", tokenizer.piece(token)
