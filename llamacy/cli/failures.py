"""How the command line fails: one line that says why, and an exit status.

======  ================================================================
status  meaning
======  ================================================================
1       the command failed
2       wrong usage
129     the terminal was closed (SIGHUP)
130     Ctrl-C (SIGINT)
141     the program that read the output has exited; no message is printed
143     termination was requested (SIGTERM)
======  ================================================================

`LLAMACY_DEBUG=1` shows the traceback instead.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from llamacy.printable import printable

_SHOWN = 150  # characters of the beginning, and of the end, of a very long word
_LONG_WORD = re.compile(r"\S{400,}")

_OTHER_NAMES = {
    "chat": "run",
    "download": "pull",
    "generate": "run",
    "remove": "rm",
    "uninstall": "rm",
}


class UsageError(Exception):
    """A command was called with invalid arguments."""

    exit_code = 2


class Commands(TyperGroup):
    """All commands; turns their exceptions into one line and an exit status."""

    def main(  # type: ignore[override]
        self, args: Any = None, *, standalone_mode: bool = True, **extra: Any
    ) -> Any:
        """Run the command line; exit with its status if `standalone_mode`."""
        try:
            status = super().main(args, standalone_mode=False, **extra)
        except typer.Abort:
            status = 130
        except Exception as error:
            if os.environ.get("LLAMACY_DEBUG", "0") not in ("", "0"):
                raise
            status = getattr(error, "exit_code", 1)
            print(f"llamacy: error: {_explain(error)}", file=sys.stderr)
        if standalone_mode:
            sys.exit(status)
        return status

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first word names."""
        word = args[0]
        meant = _command_meant(word)
        if meant and not ctx.resilient_parsing and self.get_command(ctx, word) is None:
            raise UsageError(f"no command {word}; did you mean llamacy {meant}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command, and flush its output; Ctrl-C ends it and the line."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except KeyboardInterrupt:
            if sys.stderr.isatty():
                print(file=sys.stderr)  # after the terminal's ^C
            raise typer.Exit(130) from None
        except BrokenPipeError:
            # Flushing the remaining buffer would fail again when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None
        return result


def _command_meant(word: str) -> str:
    """Return the command that was probably meant by a word; may be empty."""
    if word == "demo" or word.endswith(".gguf") or "/" in word:
        return f"run {word}"
    return _OTHER_NAMES.get(word, "")


def _explain(error: Exception) -> str:
    """Return the error's message as one line."""
    from llamacy.errors import LlamacyError

    if hasattr(error, "format_message"):  # Typer's error for wrong usage
        text = error.format_message()
        if context := getattr(error, "ctx", None):
            if text.startswith("Got unexpected extra argument"):
                text += "; put a text of several words into quotes"
            text = f"{text.rstrip('.')} (see: {context.command_path} --help)"
    elif isinstance(error, LlamacyError | OSError | UsageError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = f"out of memory: {error}".rstrip(": ")
    else:
        text = f"{type(error).__name__}: {error} (LLAMACY_DEBUG=1 shows where)"
    return printable(_LONG_WORD.sub(_shortened, " ".join(text.splitlines())))


def _shortened(word: re.Match[str]) -> str:
    return f"{word[0][:_SHOWN]}...{word[0][-_SHOWN:]}"
