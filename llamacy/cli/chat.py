"""The chat of `llamacy run`: reads the user's messages and shows the answers."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from llamacy.cli.chat_commands import Talk, obey
from llamacy.cli.chat_input import Command, ReadLine, read_entry
from llamacy.cli.endings import note, note_ending, note_timings
from llamacy.cli.failures import UsageError
from llamacy.cli.printers import AnswerPrinter, Printer, TextPrinter
from llamacy.cli.terminal_line import read_terminal_line
from llamacy.cli.text_input import BOM, check_text
from llamacy.printable import printable

if TYPE_CHECKING:
    from llamacy.chat.overflow import Overflow
    from llamacy.chat.prompt import PromptOptions
    from llamacy.generation.streams import Stream
    from llamacy.generation.tally import OnProgress
    from llamacy.model.model import Model
    from llamacy.results import Completion


def begin_reply(
    model: Model,
    talk: Talk,
    options: PromptOptions,
    progress: OnProgress,
    overflow: Overflow = "error",
) -> tuple[Stream, Printer]:
    """Begin to answer or continue the last message; return the stream and its printer.

    Parameters
    ----------
    model : Model
        The model that answers.
    talk : Talk
        The conversation and the settings.
    options : PromptOptions
        How to write the conversation.
    progress : callable
        Called with the share of the prompt read.
    overflow : {"error", "truncate"}, default "error"
        Handling of a conversation that does not fit into the context.
    """
    if not talk.answers:
        text = talk.messages[-1]["content"]
        stream = model.stream(text, talk.params, progress=progress)
        return stream, TextPrinter(text if sys.stdout.isatty() else "")
    options = {**options, "overflow": overflow}
    answer = model.stream_chat(
        talk.all_messages, talk.params, progress=progress, **options
    )
    return answer, AnswerPrinter(talk.shows_reasoning)


class Chat:
    """Talks with a model until the user ends the chat.

    Parameters
    ----------
    model : Model
        The model that answers.
    talk : Talk
        The conversation and the settings. Unless it `answers`, each message is a text
        that the model continues.
    options : PromptOptions, optional
        How to write the conversation.
    read_line : callable, optional
        Returns the user's lines; None reads standard input.
    forgives : bool, optional
        Whether to continue after errors and Ctrl-C, as a person who types expects; None
        does so if standard input is a terminal.
    name : str, optional
        The model's name for the user; None shows its path.
    """

    def __init__(
        self,
        model: Model,
        talk: Talk,
        options: PromptOptions | None = None,
        read_line: ReadLine | None = None,
        forgives: bool | None = None,
        *,
        name: str | None = None,
    ) -> None:
        at_terminal = sys.stdin.isatty()
        self.model = model
        self.talk = talk
        self.options: PromptOptions = {} if options is None else options
        self.name = str(model.path) if name is None else name
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
        KeyboardInterrupt
            Ctrl-C twice at the input prompt, or once if the chat forgives nothing.
        """
        if self.talk.answers:  # fail before the user has typed a message
            self.model.chat_prompt("hello", **self.options)
        if self.forgives:
            note(f"{self.name}; /help lists the commands, Ctrl-D ends")
        was_interrupted = False
        while not self.talk.is_over:
            try:
                self._turn()
                was_interrupted = False
            except EOFError:
                if self.forgives:
                    print()  # ends the line of the input prompt
                return
            except KeyboardInterrupt:
                if not self.forgives:
                    raise
                if was_interrupted:
                    raise
                was_interrupted = True
                print("\n(/exit, Ctrl-D or another Ctrl-C ends the chat)", flush=True)

    def _turn(self) -> None:
        from llamacy.errors import LlamacyError

        entry = read_entry(self.read_line)
        before = list(self.talk.messages)
        try:
            check_text(entry if isinstance(entry, str) else entry.argument)
            if isinstance(entry, Command):
                if reply := obey(entry, self.talk):
                    # a pipe gets the answers alone
                    print(reply, flush=True, file=None if self.forgives else sys.stderr)
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
            note(printable(f"error: {error}"))

    def _answer(self, before: list[dict[str, Any]]) -> None:
        """Answer the last message; if that fails, go back to the messages `before`."""
        from llamacy.cli.prompt_progress import PromptProgress

        talk = self.talk
        try:
            with PromptProgress() as progress:
                stream, printer = begin_reply(
                    self.model, talk, self.options, progress, "truncate"
                )
                is_whole = self._show(stream, printer)
        except BaseException:
            talk.messages = before
            raise
        answer = stream.completion
        if answer.text or is_whole:
            talk.reply(answer)
        else:
            talk.messages = before
            note("stopped before the answer: the message is forgotten")
        self._note_details(answer)

    def _show(self, stream: Stream, printer: Printer) -> bool:
        """Print pieces as they come; return False after a Ctrl-C."""
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

    def _note_details(self, answer: Completion) -> None:
        """Print notes on a full context, and timings if wanted."""
        talk = self.talk
        n_dropped, talk.n_dropped = talk.n_dropped, getattr(answer, "n_dropped", 0)
        if talk.n_dropped > n_dropped:
            note(
                "the context is full: the model can no longer see "
                f"the {talk.n_dropped} oldest messages"
            )
        note_ending(self.model, answer, talk.params, answers=talk.answers)
        if talk.verbose:
            note_timings(answer)


def _line_reader(at_terminal: bool) -> ReadLine:
    """Return a function that reads lines, with editing and history at a terminal."""
    if not at_terminal:
        return _read_piped
    with contextlib.suppress(ImportError):  # Windows has no such module
        import readline  # noqa: F401 -- gives `input` editing and history
    return read_terminal_line


def _read_piped(prompt: str) -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.removeprefix(BOM).removesuffix("\n").removesuffix("\r")
