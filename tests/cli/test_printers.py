"""What is generated, as it is printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from puppet import saying
from tool_templates import HERMES

import llamacy
from llamacy.chat.results import ChatPiece
from llamacy.cli.chat import Chat
from llamacy.cli.chat_commands import Talk
from llamacy.cli.printers import AnswerPrinter, TextPrinter
from llamacy.results import Piece
from llamacy.sampling import SamplingParams

PIECES = [
    ChatPiece("", [1], reasoning="Let "),
    ChatPiece("", [1], reasoning="me."),
    ChatPiece("\n", [1]),
    ChatPiece(" It", [1]),
    ChatPiece(" is", [1]),
]


@pytest.fixture
def terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # `capsys` first: it replaces sys.stdout
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")


def printed(printer: Any, pieces: list[Any], read: Callable[[], Any]) -> str:
    for piece in pieces:
        printer.show(piece)
    printer.end()
    return str(read().out)


def test_texts(capsys: pytest.CaptureFixture[str]) -> None:
    pieces = [Piece(" there", [1]), Piece(" was", [1])]
    text = printed(TextPrinter("Once"), pieces, capsys.readouterr)
    assert text == "Once there was\n"
    assert printed(TextPrinter("Once"), [], capsys.readouterr) == "Once\n"


@pytest.mark.usefixtures("terminal")
def test_reasoning_is_dimmed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed(AnswerPrinter(), PIECES, capsys.readouterr)
    assert text == "\x1b[2mLet me.\x1b[22m\n\nIt is\n"
    # a terminal is never left dimmed
    text = printed(AnswerPrinter(), PIECES[:1], capsys.readouterr)
    assert text == "\x1b[2mLet \x1b[22m\n"
    text = printed(AnswerPrinter(shows_reasoning=False), PIECES, capsys.readouterr)
    assert text == "It is\n"
    monkeypatch.setenv("TERM", "dumb")
    assert printed(AnswerPrinter(), PIECES, capsys.readouterr) == "It is\n"


def test_what_is_piped_on_is_the_answer_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert printed(AnswerPrinter(), PIECES, capsys.readouterr) == "It is\n"


def one_by_one(*lines: str) -> Callable[[str], str]:
    left = iter(lines)
    return lambda prompt: next(left)


@pytest.mark.usefixtures("terminal")
def test_a_chat_with_a_model_that_thinks(
    babble_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with llamacy.load(babble_model) as model:
        for shows, text in [(True, "\x1b[2mHm.\x1b[22m\n\nYes.\n"), (False, "Yes.\n")]:
            params = SamplingParams(**saying(model, "<think>Hm.</think>\n\nYes."))
            talk = Talk(params, shows_reasoning=shows)
            talk.say("bada")
            Chat(model, talk, HERMES, one_by_one("/regen", "/bye")).run()
            assert capsys.readouterr().out == text
            assert talk.messages[-1]["reasoning_content"] == "Hm."
