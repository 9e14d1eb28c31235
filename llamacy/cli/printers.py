"""Printing generated text on standard output, piece by piece."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llamacy.results import Piece

_DIM, _PLAIN = "\x1b[2m", "\x1b[22m"


class Printer(Protocol):
    """Prints pieces."""

    def show(self, piece: Piece) -> None:
        """Print a piece."""

    def end(self) -> None:
        """Finish the last line."""


class TextPrinter:
    """Prints the pieces of a text.

    Parameters
    ----------
    before : str
        Text to print before the first piece.
    """

    def __init__(self, before: str = "") -> None:
        self._before = before

    def show(self, piece: Piece) -> None:
        """Print a piece."""
        print(self._before, piece.text, sep="", end="", flush=True)
        self._before = ""

    def end(self) -> None:
        """Finish the last line."""
        print(self._before, flush=True)


class AnswerPrinter:
    """Prints the pieces of an answer, without leading white space.

    Parameters
    ----------
    shows_reasoning : bool
        Whether to print the reasoning too, dimmed. This happens only at a terminal: a
        pipe gets the answer alone.
    """

    def __init__(self, shows_reasoning: bool = True) -> None:
        can_dim = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._shows_reasoning = shows_reasoning and can_dim
        self._is_dim = False
        self._has_begun = False

    def show(self, piece: Piece) -> None:
        """Print a piece."""
        from llamacy.chat.results import ChatPiece

        if isinstance(piece, ChatPiece) and piece.reasoning and self._shows_reasoning:
            print("" if self._is_dim else _DIM, piece.reasoning, sep="", end="")
            self._is_dim = True
        text = piece.text if self._has_begun else piece.text.lstrip()
        if text:
            self._undim("\n\n")
            print(text, end="")
            self._has_begun = True
        sys.stdout.flush()

    def end(self) -> None:
        """Finish the last line."""
        self._undim("")
        print(flush=True)

    def _undim(self, gap: str) -> None:
        if self._is_dim:
            print(_PLAIN, gap, sep="", end="")
            self._is_dim = False
