"""Writing checked messages as token ids, with a chat template."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llamacy.arguments import short
from llamacy.chat.beginnings import Beginnings
from llamacy.chat.built_in import ChatFormat
from llamacy.chat.disguise import Disguise
from llamacy.chat.habits import fitted
from llamacy.chat.reply.thinking import THINKING_MARKS
from llamacy.chat.template import render
from llamacy.chat.values import mapped, texts_in
from llamacy.chat.variables import functions_of, takes_functions, takes_tools
from llamacy.errors import ArgumentError, ChatTemplateError
from llamacy.system.forks import importing

if TYPE_CHECKING:
    from llamacy.tokenizers.base import Tokenizer

_OPEN_MARKS = tuple(marks.open for marks in THINKING_MARKS)

# variables that are made of other arguments
_RESERVED = {"messages": "messages", "tools": "tools="}


class Begun(NamedTuple):
    """The part of a prompt with which its answer begins.

    Attributes
    ----------
    before : str
        The prompt up to there.
    text : str
        The answer's beginning as the template writes it: marks, then the caller's text.
    """

    before: str
    text: str


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
        `arguments` is not a dict, or has a variable that is made of other arguments;
        or `tools` are given to a template that ignores them.
    """

    def __init__(
        self,
        form: ChatFormat,
        tokenizer: Tokenizer,
        tools: Sequence[Mapping[str, Any]] = (),
        arguments: Mapping[str, Any] | None = None,
    ) -> None:
        arguments = {} if arguments is None else arguments
        if not isinstance(arguments, Mapping):
            raise ArgumentError(
                f"template_arguments: wanted a dict, found {short(arguments)}"
            )
        for name in arguments:
            if not isinstance(name, str):
                raise ArgumentError(
                    "template_arguments: wanted names of variables, "
                    f"found {short(name)}"
                )
        for name, argument in _RESERVED.items():
            if name in arguments:
                raise ArgumentError(
                    f"template_arguments[{name!r}]: {argument} takes its place"
                )
        if tools and not takes_tools(form.template):
            raise ArgumentError(
                f"tools: wanted a template that supports tools, found {form.name}, "
                "which does not"
            )
        self._form = form
        self._tokenizer = tokenizer
        self._beginnings = Beginnings(arguments)
        self._special = dict(_special_texts(tokenizer))
        self._variables: dict[str, Any] = {
            name: value
            for name, value in self._beginnings.other_arguments.items()
            # the text of the vocabulary's own token stays that token
            if name not in self._special or value != self._special[name]
        }
        if takes_functions(form.template):
            self._variables = functions_of(tools) | self._variables
        elif tools:
            self._variables["tools"] = list(tools)

    def __call__(self, messages: list[dict[str, Any]]) -> list[int]:
        """Return checked messages as a prompt, up to where the new text begins."""
        tokenizer = self._tokenizer
        is_begun = self._beginnings.has(messages)
        text, disguise = self._text(messages, is_begun)
        ids = tokenizer.encode_parts(disguise.take_off(tokenizer.split(text)))
        bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
        if bos and ids[:2] == bos * 2:
            return ids[1:]
        if tokenizer.add_bos and ids[:1] != bos:
            return bos + ids
        return ids

    def begun(self, messages: list[dict[str, Any]]) -> Begun | None:
        """Return the beginning of the answer, if the last message is one."""
        if not self._beginnings.has(messages):
            return None
        text, disguise = self._text(messages, is_begun=True)
        try:
            asked = self._text(messages[:-1], False)[0] if messages[1:] else ""
        except ChatTemplateError:
            asked = ""
        # what the template writes before any answer is the prompt's
        before = os.path.commonprefix([text, asked])
        plain = "".join(map(str, disguise.take_off([text[len(before) :]])))
        return Begun(before, plain)

    def _text(
        self, messages: list[dict[str, Any]], is_begun: bool
    ) -> tuple[str, Disguise]:
        """Return the rendered prompt, and how its messages are disguised."""
        # imported late: the readers of all styles take longer than a token
        with importing:
            from llamacy.chat.reply.style import is_token
            from llamacy.chat.written_calls import with_written_calls

        messages = fitted(self._form.template, self._beginnings.without_empty(messages))
        variables = {**self._variables, "messages": messages}
        texts = [self._form.template, *texts_in("template_arguments", variables)]
        disguise = Disguise(self._tokenizer.markers, texts)
        values = {
            "add_generation_prompt": not is_begun,
            **self._special,
            **mapped("template_arguments", variables, disguise.put_on),
        }
        values["messages"] = with_written_calls(  # behind the disguise: marks count
            self._form.template,
            values["messages"],
            lambda mark: is_token(mark, self._tokenizer),
        )
        if not is_begun:
            return self._rendered(values), disguise
        return self._up_to_the_end(values, disguise.unused), disguise

    def _up_to_the_end(self, values: dict[str, Any], mark: str) -> str:
        """Render a prompt up to the end of its last message, found by a mark."""
        *before, last = values["messages"]
        messages = [*before, self._beginnings.marked(last, mark)]
        text = self._rendered({**values, "messages": messages})
        text, found, _ = text.rpartition(mark)
        if found:
            return text
        if not last["content"] and before:
            # a template that opens the reasoning, but writes none of past answers
            asked = {"messages": before, "add_generation_prompt": True}
            text = self._rendered({**values, **asked})
            if text.rstrip().endswith(_OPEN_MARKS):
                return f"{text}{last['reasoning_content']}"
        raise ChatTemplateError(
            f"{self._form.name}: does not write the assistant's last message, so "
            "no answer can continue it"
        )

    def _rendered(self, values: dict[str, Any]) -> str:
        return render(self._form.template, self._form.name, values)


def _special_texts(tokenizer: Tokenizer) -> Iterator[tuple[str, str]]:
    """Yield the variables by which templates write special tokens, with their texts."""
    for name in ("bos", "eos", "unk"):
        token = getattr(tokenizer, f"{name}_id")
        if token is not None:
            yield f"{name}_token", tokenizer.piece(token)
