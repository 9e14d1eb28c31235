"""Finding a command's text: in an argument, an option, a file or a pipe."""

from __future__ import annotations

import codecs
import os
import re
import stat
import sys
from pathlib import Path

from llamacy.cli.failures import UsageError
from llamacy.system.whole_files import file_errors

_ESCAPE = re.compile(r"""\\(?:x([0-9A-Fa-f]{2})|([nrt'"\\]))""")
_UNREAD = (
    "llamacy: standard input is not read beside a prompt (-f - puts it before the "
    "prompt; < /dev/null leaves out this note)"
)
_NO_MODEL = (
    "no model: give the path of a file, a name on the hub (llamacy models lists some), "
    "or demo"
)
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""The byte order mark, as a character: programs of Windows begin files with it."""

_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def model_and_text(
    arguments: list[str | None],
    model: str | None,
    text: str | None,
    file: Path | None,
    what: str,
    *,
    reads_pipe: bool = True,
    joins_file: bool = False,
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
    joins_file : bool
        Whether the text of `file` is put before the text, if there is one.
    unescapes : bool
        Whether to resolve escapes such as `\n` in the text, though not in a file's text
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
    if len(texts) > 1 or (texts and file is not None and not joins_file):
        raise UsageError(f"more than one {what}")
    if not texts and file is None and not reads_pipe:
        return model, None
    found = check_text(texts[0]) if texts else read_text(file)
    if found and unescapes:
        found = unescape(found)
    if texts and file is not None and (before := read_text(file)):
        return model, f"{before}\n\n{found or ''}"
    if texts and file is None and joins_file:
        note_unread()
    # An empty argument may be intended; an empty pipe counts as no text.
    return model, found if found or texts else None


def model_and_words(
    argument: str | None, words: list[str] | None, model: str | None
) -> tuple[str, list[str]]:
    """Return the model and the other words, checked to be Unicode.

    Parameters
    ----------
    argument : str or None
        The first argument: the model, unless an option names it.
    words : list of str or None
        The other arguments.
    model : str or None
        The option.

    Raises
    ------
    UsageError
        There is no model, or a word is not UTF-8.
    """
    found = [*([] if argument is None else [argument]), *(words or ())]
    if model is None:
        if not found:
            raise UsageError(_NO_MODEL)
        model = found.pop(0)
    return model, [check_text(word) for word in found]


def note_unread() -> None:
    """Say that standard input is not read, if something waits there.

    The commands of a shell's loop have the loop's standard input, whose lines are meant
    for the loop: a command that has its prompt must leave them there.
    """
    try:
        if not sys.stdin.isatty() and _has_data(sys.stdin.fileno()):
            print(_UNREAD, file=sys.stderr)
    except (AttributeError, OSError, ValueError):  # closed, or replaced by Python code
        pass


def _has_data(source: int) -> bool:
    mode = os.fstat(source).st_mode
    if stat.S_ISREG(mode):
        return os.lseek(source, 0, os.SEEK_CUR) < os.fstat(source).st_size
    if not stat.S_ISFIFO(mode) or os.name == "nt":  # Windows cannot poll a pipe
        return False
    import select

    return bool(select.select([source], [], [], 0)[0]) and _n_waiting(source) > 0


def _n_waiting(source: int) -> int:
    """Return how many bytes wait in a pipe: none at its end, which is ready as well."""
    import fcntl
    import termios

    count = fcntl.ioctl(source, termios.FIONREAD, bytes(4))
    return int.from_bytes(count, sys.byteorder)


def read_text(file: Path | None) -> str | None:
    """Return the text of `file` (`-` is standard input) or a pipe; None at a terminal.

    One newline at the end is dropped: editors and shells add it. Lines end in a newline
    alone, as Python's text files do, and a byte order mark is no part of the text.

    Raises
    ------
    UsageError
        The text is neither UTF-8 nor, by its byte order mark, UTF-16.
    ModelFileError
        The file cannot be read.
    """
    if file is not None and str(file) != "-":
        name = str(file)
        with file_errors(file):
            data = Path(os.path.expanduser(file)).read_bytes()
    elif file is None and sys.stdin.isatty():
        return None
    else:
        name, data = "standard input", sys.stdin.buffer.read()
    return _text(data, name)


def _text(data: bytes, name: str) -> str:
    text = decode(data, name).removeprefix(BOM).replace("\r\n", "\n")
    return text.removesuffix("\n")


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
        `data` is neither UTF-8 nor, by its byte order mark, UTF-16.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # of PowerShell
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError:
            raise UsageError(f"{name} is not UTF-16, as it begins") from None
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
