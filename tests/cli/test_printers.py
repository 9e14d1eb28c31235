"""Printing generated text and reasoning."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import llamacy
from llamacy.chat.results import ChatPiece
from llamacy.cli.chat import Chat
from llamacy.cli.chat_commands import Talk
from llamacy.cli.printers import AnswerPrinter, Printer, TextPrinter
from llamacy.results import Piece
from llamacy.sampling import SamplingParams
from tests.support.puppet import saying
from tests.support.tool_templates import HERMES

PIECES = [
    ChatPiece("", [1], reasoning="Let "),
    ChatPiece("", [1], reasoning="me."),
    ChatPiece("\n", [1]),
    ChatPiece(" It", [1]),
    ChatPiece(" is", [1]),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(
    patch: pytest.MonkeyPatch, make: Callable[[], Printer], pieces: Sequence[Piece]
) -> str:
    """Return what a printer writes to a terminal."""
    patch.setenv("TERM", "xterm")
    with patch.context() as context:
        context.setattr(sys, "stdout", terminal := Terminal())
        printer = make()
        for piece in pieces:
            printer.show(piece)
        printer.end()
        return terminal.getvalue()


def test_a_text_is_printed_after_its_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [Piece(" there", [1]), Piece(" was", [1])]
    text = printed(monkeypatch, lambda: TextPrinter("Once"), pieces)
    assert text == "Once there was\n"
    assert printed(monkeypatch, lambda: TextPrinter("Once"), []) == "Once\n"


def test_reasoning_is_dimmed_or_hidden_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = printed(monkeypatch, AnswerPrinter, PIECES)
    assert text == "\x1b[2mLet me.\x1b[22m\n\nIt is\n"
    # a terminal is never left dimmed
    assert printed(monkeypatch, AnswerPrinter, PIECES[:1]) == "\x1b[2mLet \x1b[22m\n"
    hidden = printed(monkeypatch, lambda: AnswerPrinter(False), PIECES)
    assert hidden == "It is\n"


def test_a_pipe_and_a_dumb_terminal_get_the_answer_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printer = AnswerPrinter()
    for piece in PIECES:
        printer.show(piece)
    printer.end()
    assert capsys.readouterr().out == "It is\n"
    # a dumb terminal cannot dim text
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("TERM", "dumb")
    AnswerPrinter().show(PIECES[0])
    assert terminal.getvalue() == ""


def one_by_one(*lines: str) -> Callable[[str], str]:
    remaining = iter(lines)
    return lambda prompt: next(remaining)


@pytest.mark.parametrize(
    ("shows", "text"), [(True, "\x1b[2mHm.\x1b[22m\n\nYes.\n"), (False, "Yes.\n")]
)
def test_a_chat_shows_or_hides_reasoning_and_keeps_it(
    babble_model: Path, monkeypatch: pytest.MonkeyPatch, shows: bool, text: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with llamacy.load(babble_model) as model:
        params = SamplingParams(**saying(model, "<think>Hm.</think>\n\nYes."))
        talk = Talk(params, shows_reasoning=shows)
        talk.say("bada")
        monkeypatch.setattr(sys, "stdout", terminal := Terminal())
        Chat(model, talk, {"chat_format": HERMES}, one_by_one("/regen", "/bye")).run()
        assert terminal.getvalue() == text
        assert talk.messages[-1]["reasoning_content"] == "Hm."
