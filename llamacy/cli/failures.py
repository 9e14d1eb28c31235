"""How the command line fails: one line that says why, and an exit status.

======  ====================================================
status  meaning
======  ====================================================
1       the command could not do its work
2       it was called wrongly
130     Ctrl-C
129     its terminal was closed; 143: it was told to end (SIGTERM)
141     whoever read its output has gone; nothing is said
======  ====================================================

``LLAMACY_DEBUG=1`` shows the traceback instead.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup


class UsageError(Exception):
    """A command was called in a way that cannot be meant."""

    exit_code = 2


class Commands(TyperGroup):
    """All commands; turns whatever one raises into a line and an exit status."""

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

    def invoke(self, ctx: Any) -> Any:
        """Run a command up to the last byte of its output."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # What is still buffered would fail again when Python exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None
        return result


def _explain(error: Exception) -> str:
    """`error` in one line."""
    from llamacy.errors import LlamacyError

    if hasattr(error, "format_message"):  # wrong usage, as Typer tells it
        text = error.format_message()
        if context := getattr(error, "ctx", None):
            text = f"{text.rstrip('.')} (see: {context.command_path} --help)"
    elif isinstance(error, LlamacyError | OSError | UsageError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = f"out of memory: {error}".rstrip(": ")
    else:
        text = f"{type(error).__name__}: {error} (LLAMACY_DEBUG=1 shows where)"
    return " ".join(text.splitlines())
