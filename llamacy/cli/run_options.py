"""Options of `llamacy run`: where the prompt comes from, and how to chat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from llamacy.cli.options import ModelOption
from llamacy.cli.text_input import check_text, model_and_text, unescape


@dataclass(frozen=True, kw_only=True)
class PromptFlags:
    """Arguments and options that name the model and the prompt."""

    first: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="GGUF file, folder, name on the hub, or demo."
        ),
    ] = None
    second: Annotated[
        str | None,
        typer.Argument(
            metavar="PROMPT", help="The text to continue; chat if it is left out."
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
            "-f", "--file", help="Read the prompt from a file; - reads stdin."
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
            joins_pipe=True,
            unescapes=unescapes,
        )


@dataclass(frozen=True, kw_only=True)
class ChatFlags:
    """Options about answering the prompt instead of continuing it."""

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
    hide_reasoning: Annotated[
        bool,
        typer.Option(
            "--hide-reasoning",
            help="Do not show the reasoning before an answer.",
        ),
    ] = False

    @property
    def answers(self) -> bool:
        """Whether to answer a prompt instead of continuing it."""
        implies_chat = (self.system, self.chat_template)
        return self.chat or any(each is not None for each in implies_chat)

    def decoded(self) -> ChatFlags:
        """Return the options with text checked to be Unicode; raises UsageError."""
        return replace(self, system=self.system and check_text(self.system))

    def unescaped(self) -> ChatFlags:
        r"""Return the options with escapes such as `\n` resolved in their text."""
        return replace(self, system=self.system and unescape(self.system))
