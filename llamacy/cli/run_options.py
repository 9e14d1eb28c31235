"""Options of `llamacy run`: where the prompt is, and how a chat is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from llamacy.cli.options import ModelOption
from llamacy.cli.text_input import check_text, model_and_text, unescape


@dataclass(frozen=True, kw_only=True)
class PromptFlags:
    """The model and the prompt, as arguments or options."""

    first: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", help="GGUF file, folder, name on the hub, or demo."
        ),
    ] = None
    second: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The text to continue; none: a chat."),
    ] = None
    model: ModelOption = None
    prompt: Annotated[
        str | None,
        typer.Option("-p", "--prompt", metavar="TEXT", help="The text, as an option."),
    ] = None
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", help="Read the prompt from a file; -: stdin."),
    ] = None

    def model_and_prompt(
        self, *, reads_pipe: bool, unescapes: bool
    ) -> tuple[str, str | None]:
        """Tell them apart, as :func:`model_and_text` does."""
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
    """Whether the prompt is answered, and how that is written and shown."""

    chat: Annotated[
        bool,
        typer.Option("--chat", help="Answer the prompt; chat if there is none."),
    ] = False
    system: Annotated[
        str | None,
        typer.Option(
            "-sys", "--system", metavar="TEXT", help="What a chat's system says first."
        ),
    ] = None
    chat_template: Annotated[
        str | None,
        typer.Option(
            "--chat-template",
            metavar="NAME",
            show_default="the model's own",
            help="How a chat is written, as alpaca or chatml; or a Jinja template.",
        ),
    ] = None
    hide_reasoning: Annotated[
        bool,
        typer.Option(
            "--hide-reasoning",
            help="Do not show what comes before an answer.",
        ),
    ] = False

    @property
    def answers(self) -> bool:
        """Whether a prompt is answered, and not continued."""
        given = (self.system, self.chat_template)
        return self.chat or any(each is not None for each in given)

    def decoded(self) -> ChatFlags:
        """Return them with text that is Unicode, or raise UsageError."""
        return replace(self, system=self.system and check_text(self.system))

    def unescaped(self) -> ChatFlags:
        r"""Return them with ``\n`` and the like read in their text."""
        return replace(self, system=self.system and unescape(self.system))
