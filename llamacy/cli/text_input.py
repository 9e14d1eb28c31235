"""Text from the places a command line gives it in."""

from __future__ import annotations

import sys
from pathlib import Path

from llamacy.cli.failures import UsageError


def read_text(file: Path | None) -> str | None:
    """Text of `file` (``-``: standard input), or else of a pipe; None at a terminal.

    One newline at the end is the editor's or the shell's, and is dropped.

    Raises
    ------
    UsageError : it is not UTF-8.
    OSError : the file cannot be read.
    """
    if file is not None and str(file) != "-":
        name, data = str(file), file.read_bytes()
    elif file is None and sys.stdin.isatty():
        return None
    else:
        name, data = "standard input", sys.stdin.buffer.read()
    return decode(data, name).removesuffix("\n").removesuffix("\r")


def check_text(text: str) -> str:
    """Check `text` of the command line.

    Raises
    ------
    UsageError : the shell gave bytes that are not UTF-8.
    """
    return decode(text.encode("utf-8", "surrogateescape"), "the text")


def decode(data: bytes, name: str) -> str:
    """Read `data` as text.

    Raises
    ------
    UsageError : it is not UTF-8; the message calls it `name`.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8: byte 0x{data[error.start]:02x} at {error.start}"
        ) from None
