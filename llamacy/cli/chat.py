"""The chat of `llamacy run`: reads the user's messages and shows the answers."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from llamacy.cli.chat_commands import Talk, obey
from llamacy.cli.chat_input import Command, ReadLine, read_entry
from llamacy.cli.failures import UsageError
from llamacy.cli.printers import AnswerPrinter
from llamacy.cli.text_input import check_text

if TYPE_CHECKING:
    from llamacy.chat.overflow import Overflow
    from llamacy.chat.results import ChatCompletion
    from llamacy.chat.stream import ChatStream
    from llamacy.generation.tally import OnProgress
    from llamacy.model.model import Model


def begin_answer(
    model: Model,
    talk: Talk,
    chat_format: str | None,
    progress: OnProgress,
    overflow: Overflow = "error",
) -> ChatStream:
    """Begin the answer to the last message."""
    return model.stream_chat(
        talk.all_messages,
        talk.params,
        chat_format=chat_format,
        overflow=overflow,
        progress=progress,
    )


class Chat:
    """Talks with a model until the user ends the chat.

    Parameters
    ----------
    model : Model
        The model that answers.
    talk : Talk
        The conversation and the settings.
    chat_format : str, optional
        Name of a chat format, or a template; None uses the model's own.
    read_line : callable, optional
        Returns the user's lines; None reads standard input.
    forgives : bool, optional
        Whether to continue after errors and Ctrl-C, as a person who types expects; None
        does so if standard input is a terminal.
    """

    def __init__(
        self,
        model: Model,
        talk: Talk,
        chat_format: str | None = None,
        read_line: ReadLine | None = None,
        forgives: bool | None = None,
    ) -> None:
        at_terminal = sys.stdin.isatty()
        self.model = model
        self.talk = talk
        self.chat_format = chat_format
        self.read_line = read_line or _line_reader(at_terminal)
        self.forgives = at_terminal if forgives is None else forgives

    def run(self) -> None:
        """Read messages and commands, and answer them.

        Raises
        ------
        ChatTemplateError
            The model has no template, and no format was chosen.
        ArgumentError
            There is no such format.
        """
        # fail before the user has typed a message
        self.model.chat_prompt("hello", chat_format=self.chat_format)
        if self.forgives:
            _note(f"{self.model.path}; /help lists the commands, Ctrl-D ends")
        while not self.talk.is_over:
            try:
                self._turn()
            except EOFError:
                if self.forgives:
                    print()  # ends the line of the input prompt
                return
            except KeyboardInterrupt:
                if not self.forgives:
                    raise
                print("\n(/bye or Ctrl-D ends the chat)")

    def _turn(self) -> None:
        from llamacy.errors import LlamacyError

        entry = read_entry(self.read_line)
        before = list(self.talk.messages)
        try:
            check_text(entry if isinstance(entry, str) else entry.argument)
            if isinstance(entry, Command):
                if reply := obey(entry, self.talk):
                    print(reply, flush=True)
                if entry.name not in ("regen", "load"):
                    return
                if entry.name == "load":
                    before = self.talk.messages[:-1]
            elif entry.strip():
                self.talk.say(entry)
            if self.talk.awaits_answer:
                self._answer(before)
        except (LlamacyError, UsageError, OSError) as error:
            if not self.forgives or isinstance(error, BrokenPipeError):
                raise
            _note(f"error: {error}")

    def _answer(self, before: list[dict[str, Any]]) -> None:
        """Answer the last message; if that fails, go back to the messages `before`."""
        from llamacy.cli.prompt_progress import PromptProgress

        talk = self.talk
        try:
            with PromptProgress() as progress:
                stream = begin_answer(
                    self.model, talk, self.chat_format, progress, "truncate"
                )
                is_whole = self._show(stream)
        except BaseException:
            talk.messages = before
            raise
        answer = stream.completion
        if answer.text or is_whole:
            talk.messages.append(answer.message)
        else:
            talk.messages = before
        self._note_details(answer)

    def _show(self, stream: ChatStream) -> bool:
        """Print pieces as they come; return False after a Ctrl-C."""
        printer = AnswerPrinter(self.talk.shows_reasoning)
        try:
            with stream:
                for piece in stream:
                    printer.show(piece)
            return True
        except KeyboardInterrupt:
            if not self.forgives:
                raise
            return False
        finally:
            printer.end()

    def _note_details(self, answer: ChatCompletion) -> None:
        """Print notes on a full context, and timings if wanted."""
        n_dropped, self.talk.n_dropped = self.talk.n_dropped, answer.n_dropped
        if answer.n_dropped > n_dropped:
            _note(
                "the context is full: the model can no longer see "
                f"the {answer.n_dropped} oldest messages"
            )
        if answer.finish_reason == "length" and self.talk.params.max_tokens is None:
            _note("the context is full: the answer was cut off")
        if self.talk.verbose:
            _note(str(answer.timings))


def _line_reader(at_terminal: bool) -> ReadLine:
    """Return a function that reads lines, with editing and history at a terminal."""
    if not at_terminal:
        return _read_piped
    with contextlib.suppress(ImportError):  # Windows has no such module
        import readline  # noqa: F401 -- gives `input` editing and history
    return input


def _read_piped(prompt: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.removesuffix("\n")


def _note(text: str) -> None:
    print(f"llamacy: {text}", file=sys.stderr)
