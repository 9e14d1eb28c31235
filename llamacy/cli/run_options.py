"""Options of `llamacy run`: where the prompt comes from, and how to chat."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.arguments import short
from llamacy.cli.completion import model_names
from llamacy.cli.failures import UsageError
from llamacy.cli.options import ModelOption
from llamacy.cli.text_input import check_text, model_and_text, unescape

if TYPE_CHECKING:
    from llamacy.chat.prompt import PromptOptions


@dataclass(frozen=True, kw_only=True)
class PromptFlags:
    """Arguments and options that name the model and the prompt."""

    first: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="GGUF file, folder, name on the hub, or demo.",
            autocompletion=model_names,
        ),
    ] = None
    second: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT",
            help="A question, or a text to continue; chat if it is left out.",
        ),
    ] = None
    model: ModelOption = None
    prompt: Annotated[
        str | None,
        typer.Option(
            "-p",
            "--prompt",
            metavar="TEXT",
            help="The prompt, instead of the argument.",
        ),
    ] = None
    file: Annotated[
        Path | None,
        typer.Option(
            "-f",
            "--file",
            help="Read the prompt, or the text before it, from a file; - is stdin.",
        ),
    ] = None

    def model_and_prompt(
        self, *, reads_pipe: bool, unescapes: bool
    ) -> tuple[str, str | None]:
        """Return the model and the prompt, as `model_and_text` does."""
        return model_and_text(
            [self.first, self.second],
            self.model,
            self.prompt,
            self.file,
            "prompt",
            reads_pipe=reads_pipe,
            joins_file=True,
            unescapes=unescapes,
        )


@dataclass(frozen=True, kw_only=True)
class ChatFlags:
    """Options about answering the prompt, or continuing it."""

    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="Continue the prompt as it is, even with a chat template."
        ),
    ] = False
    chat: Annotated[
        bool,
        typer.Option(
            "--chat", help="Answer the prompt; without one, read a chat from stdin."
        ),
    ] = False
    system: Annotated[
        str | None,
        typer.Option(
            "-sys", "--system", metavar="TEXT", help="System message of the chat."
        ),
    ] = None
    chat_template: Annotated[
        str | None,
        typer.Option(
            "--chat-template",
            metavar="NAME",
            show_default="the model's own",
            help="Chat format, such as alpaca or chatml, or a Jinja template.",
        ),
    ] = None
    chat_template_kwargs: Annotated[
        str | None,
        typer.Option(
            "--chat-template-kwargs",
            metavar="JSON",
            help="Variables of the chat template, as a JSON object.",
        ),
    ] = None
    reasoning_effort: Annotated[
        str | None,
        typer.Option(
            "--reasoning-effort",
            metavar="NAME",
            help="How long to reason, in the template's words: low, for example.",
        ),
    ] = None
    hide_reasoning: Annotated[
        bool,
        typer.Option(
            "--hide-reasoning",
            help="Do not show the reasoning before an answer.",
        ),
    ] = False

    def answers(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether a model with this metadata answers, or else continues.

        It answers if it has a chat template, or an option asks for answers.
        """
        from llamacy.chat.formats import has_template

        return not self.raw and (bool(self._asking()) or has_template(metadata))

    def decoded(self) -> ChatFlags:
        """Return the options, checked: texts are Unicode; raises UsageError."""
        if self.raw and (asking := self._asking()):
            raise UsageError(
                f"--raw continues the prompt and {asking} has it answered: "
                "wanted one of them"
            )
        self.prompt_options()
        return replace(self, system=self.system and check_text(self.system))

    def prompt_options(self) -> PromptOptions:
        """Return how to write a conversation; raises UsageError."""
        return {
            "chat_format": self.chat_template,
            "template_arguments": self._template_arguments(),
            "reasoning_effort": self.reasoning_effort,
        }

    def _template_arguments(self) -> dict[str, Any]:
        given = self.chat_template_kwargs
        return {} if given is None else json_object("--chat-template-kwargs", given)

    def unescaped(self) -> ChatFlags:
        r"""Return the options with escapes such as `\n` resolved in their text."""
        return replace(self, system=self.system and unescape(self.system))

    def _asking(self) -> str:
        """Return the name of an option that asks for answers; may be empty."""
        given = {
            "--chat": self.chat,
            "--system": self.system is not None,
            "--chat-template": self.chat_template is not None,
            "--chat-template-kwargs": self.chat_template_kwargs is not None,
            "--reasoning-effort": self.reasoning_effort is not None,
        }
        return next((name for name, is_given in given.items() if is_given), "")


def json_object(option: str, text: str) -> dict[str, Any]:
    """Return the JSON object that an option has.

    Raises
    ------
    UsageError
        It is another value, or no JSON.
    """
    wanted = f"{option}: wanted a JSON object"
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{wanted}: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{wanted}, found {short(values)}")
    return values
