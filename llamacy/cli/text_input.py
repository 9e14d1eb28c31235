"""Finding a command's text: in an argument, an option, a file or a pipe."""

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
_NO_INPUT = (
    "llamacy: nothing came from standard input; continuing with the prompt alone "
    "(-f - waits for input)"
)
_NO_MODEL = (
    "no model: give the path of a file, a name on the hub (llamacy models lists some), "
    "or demo"
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
    r"""Return the model and the text; arguments stand for options that are missing.

    Parameters
    ----------
    arguments : list of str or None
        Arguments of the command line, in order.
    model, text : str or None
        Options that name the model and give the text.
    file : Path or None
        Option that names a file with the text.
    what : str
        Name of the text in error messages.
    reads_pipe : bool
        Whether piped input is the text, if there is no other.
    joins_pipe : bool
        Whether piped input is put before the text, if there is one.
    unescapes : bool
        Whether to resolve escapes such as `\n` in the text, though not in piped input
        put before it.

    Returns
    -------
    model : str
        Path or name of the model.
    text : str or None
        The text; None if there is no text.

    Raises
    ------
    UsageError
        There is no model, or more than one text.
    """
    remaining = [argument for argument in arguments if argument is not None]
    if model is None:
        if not remaining:
            raise UsageError(_NO_MODEL)
        model = remaining.pop(0)
    texts = [*remaining, *([] if text is None else [text])]
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
    # An empty argument may be intended; an empty pipe counts as no text.
    return model, found if found or texts else None


def read_beside() -> str | None:
    """Return text that is piped in next to a prompt; None if there is no such text.

    A parent process often leaves its child a pipe that it never writes to or closes. A
    pipe that stays silent for a while is assumed to be one of those; a note says so.

    Raises
    ------
    UsageError
        The input is not UTF-8.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return None
    try:
        source = sys.stdin.fileno()
    except (OSError, ValueError):  # Python code has replaced the stream
        return read_text(None)
    if not _is_pipe_or_file(source):
        return None
    data = _read_soon(source)
    if data is None:
        print(_NO_INPUT, file=sys.stderr)
        return None
    return _text(data, "standard input")


def _is_pipe_or_file(source: int) -> bool:
    """Return whether a shell may have set up this descriptor: no device or socket."""
    mode = os.fstat(source).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _read_soon(source: int) -> bytes | None:
    """Return all input, or None if neither data nor the end arrives soon enough."""
    data = bytearray()
    begun = threading.Event()

    def read() -> None:
        while chunk := os.read(source, 1 << 16):
            data.extend(chunk)
            begun.set()
        begun.set()

    # a thread, since Windows cannot poll a pipe; a daemon, since it may block forever
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    if not begun.wait(_PATIENCE):
        return None
    reader.join()
    return bytes(data)


def read_text(file: Path | None) -> str | None:
    """Return the text of `file` (`-` is standard input) or a pipe; None at a terminal.

    One newline at the end is dropped: editors and shells add it.

    Raises
    ------
    UsageError
        The text is not UTF-8.
    OSError
        The file cannot be read.
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
    """Return text of the command line or the terminal, checked to be Unicode.

    Raises
    ------
    UsageError
        The shell or the terminal passed bytes that are not UTF-8.
    """
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:  # Windows passes UTF-16, not bytes
        code = ord(text[error.start])
        raise UsageError(
            f"the text is not Unicode: the lone surrogate U+{code:04X} at {error.start}"
        ) from None
    return decode(data, "the text")


def decode(data: bytes, name: str) -> str:
    """Decode `data`, which errors call `name`.

    Raises
    ------
    UsageError
        `data` is not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8: byte 0x{data[error.start]:02x} at {error.start}"
        ) from None


def unescape(text: str) -> str:
    r"""Resolve the escapes `\n`, `\r`, `\t`, `\xHH`, `\\`, `\'` and `\"`.

    >>> unescape(r"a\tb\x21")
    'a\tb!'
    """

    def character(match: re.Match[str]) -> str:
        digits, letter = match.groups()
        return chr(int(digits, 16)) if digits else _ESCAPED.get(letter, letter)

    return _ESCAPE.sub(character, text)
