"""Writing checked messages as token ids, with a chat template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llamacy.chat.disguise import Disguise
from llamacy.chat.formats import ChatFormat
from llamacy.chat.messages import mapped, texts_in
from llamacy.chat.template import render
from llamacy.chat.variables import free_variables
from llamacy.errors import ArgumentError

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer


class Writer:
    """Writes conversations; a control token's name in a message stays ordinary text.

    Parameters
    ----------
    form : ChatFormat
        The format whose template is rendered.
    tokenizer : Tokenizer
        The model's tokenizer.
    tools : sequence of dict, optional
        JSON schemas of the functions that the model may call.
    arguments : dict, optional
        Further variables for the template.

    Raises
    ------
    ArgumentError
        `arguments` is not a dict, or `tools` are given to a template that ignores
        them.
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
        if tools and not _takes_tools(form.template):
            raise ArgumentError(
                f"tools: wanted a template that supports tools, found {form.name}, "
                "which does not"
            )
        self._form = form
        self._tokenizer = tokenizer
        self._variables = {**(arguments or {}), "tools": list(tools) or None}

    def __call__(self, messages: list[dict[str, Any]]) -> list[int]:
        """Return checked messages as a prompt, up to where the answer begins."""
        tokenizer = self._tokenizer
        variables = {**self._variables, "messages": messages}
        texts = [self._form.template, *texts_in("template_arguments", variables)]
        disguise = Disguise(tokenizer.markers, texts)
        values = {
            "add_generation_prompt": True,
            **mapped("template_arguments", variables, disguise.put_on),
            **dict(_special_texts(tokenizer)),
        }
        text = render(self._form.template, self._form.name, values)
        ids = tokenizer.encode_parts(disguise.take_off(tokenizer.split(text)))
        bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
        if bos and ids[:2] == bos * 2:
            return ids[1:]
        if tokenizer.add_bos and ids[:1] != bos:
            return bos + ids
        return ids


def _takes_tools(template: str) -> bool:
    """Whether tools reach a template; one that is invalid fails later."""
    variables = free_variables(template)
    return variables is None or "tools" in variables


def _special_texts(tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """Yield the variables by which templates write special tokens, with their texts."""
    for name in ("bos", "eos", "unk"):
        token = getattr(tokenizer, f"{name}_id")
        if token is not None:
            yield f"{name}_token", tokenizer.piece(token)
