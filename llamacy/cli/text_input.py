"""Text from the places a command line gives it in."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
from pathlib import Path

from llamacy.cli.failures import UsageError

_ESCAPE = re.compile(r"""\\(?:x([0-9A-Fa-f]{2})|([nrt'"\\]))""")
_PATIENCE = 2.0  # seconds
_GOING_ON = (
    "llamacy: nothing came from standard input; going on with the prompt alone "
    "(-f - waits for it)"
)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def model_and_text(
    arguments: list[str | None],
    model: str | None,
    text: str | None,
    file: Path | None,
    what: str,
    *,
    reads_pipe: bool = True,
    joins_pipe: bool = False,
    unescapes: bool = False,
) -> tuple[str, str | None]:
    r"""Tell a model and a text apart: options first, arguments fill what is missing.

    Parameters
    ----------
    arguments : of the command line, in their order.
    model, text, file : options.
    what : to call the text.
    reads_pipe : whether what is piped in is the text, if there is no other.
    joins_pipe : whether what is piped in comes before the text, if there is one.
    unescapes : read ``\n`` and the like in the text, but not in what comes before.

    Returns
    -------
    The model's path, and the text; None if there is none.

    Raises
    ------
    UsageError : there is no model, or more than one text.
    """
    given = [argument for argument in arguments if argument is not None]
    if model is None:
        if not given:
            raise UsageError("no model: give the path of a GGUF file, or demo")
        model = given.pop(0)
    texts = [*given, *([] if text is None else [text])]
    if len(texts) + (file is not None) > 1:
        raise UsageError(f"more than one {what}")
    if not texts and file is None and not reads_pipe:
        return model, None
    found = check_text(texts[0]) if texts else read_text(file)
    if found and unescapes:
        found = unescape(found)
    is_beside = texts or (file is not None and str(file) != "-")
    if joins_pipe and is_beside and (piped := read_beside()):
        return model, f"{piped}\n\n{found or ''}"
    # An empty text may be meant, but an empty pipe is none.
    return model, found if found or texts else None


def read_beside() -> str | None:
    """Text that is piped in beside another; None if there is none.

    Programs that start others often leave them a pipe that nobody ever writes to nor
    closes; one that stays silent for a while is taken for such, and a note says so.

    Raises
    ------
    UsageError : it is not UTF-8.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return None
    try:
        source = sys.stdin.fileno()
    except (OSError, ValueError):  # Python code has put something in its place
        return read_text(None)
    if not _is_pipe_or_file(source):
        return None
    data = _read_soon(source)
    if data is None:
        print(_GOING_ON, file=sys.stderr)
        return None
    return _text(data, "standard input")


def _is_pipe_or_file(source: int) -> bool:
    """Whether a descriptor is one of those a shell makes, and no device or socket."""
    mode = os.fstat(source).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _read_soon(source: int) -> bytes | None:
    """All there is to read, if the first of it, or the end, comes soon enough."""
    data = bytearray()
    begun = threading.Event()

    def read() -> None:
        while chunk := os.read(source, 1 << 16):
            data.extend(chunk)
            begun.set()
        begun.set()

    # a thread, since Windows cannot poll a pipe; a daemon, since it may wait forever
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    if not begun.wait(_PATIENCE):
        return None
    reader.join()
    return bytes(data)


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
    return _text(data, name)


def _text(data: bytes, name: str) -> str:
    return decode(data, name).removesuffix("\n").removesuffix("\r")


def check_text(text: str) -> str:
    """Check `text` of the command line, or one that was typed.

    Raises
    ------
    UsageError : the shell or the terminal gave bytes that are not UTF-8.
    """
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:  # of Windows, which has no such bytes
        code = ord(text[error.start])
        raise UsageError(
            f"the text is not Unicode: the lone surrogate U+{code:04X} at {error.start}"
        ) from None
    return decode(data, "the text")


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


def unescape(text: str) -> str:
    r"""Replace what is written as ``\n``, ``\r``, ``\t``, ``\xHH``, ``\\`` or a quote.

    >>> unescape(r"a\tb\x21")
    'a\tb!'
    """

    def character(match: re.Match[str]) -> str:
        digits, letter = match.groups()
        return chr(int(digits, 16)) if digits else _ESCAPED.get(letter, letter)

    return _ESCAPE.sub(character, text)
