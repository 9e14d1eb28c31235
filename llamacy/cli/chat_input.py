"""Reading the user's input in a chat: messages of one or more lines, and commands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_PROMPT, _MORE = ">>> ", "... "
_QUOTES = '"""'

ReadLine = Callable[[str], str]
"""Shows an input prompt and returns a line; raises EOFError at the end."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the form `/name argument`."""

    name: str
    argument: str = ""


def read_entry(read_line: ReadLine) -> Command | str:
    r'''Read a message or a command.

    A line that ends in a backslash continues on the next one; text that begins with
    `"""` continues to `"""` at the end of a line.

    Raises
    ------
    EOFError
        The input has ended.

    Examples
    --------
    >>> lines = iter(["one \\", "message", "/set seed 5"])
    >>> read_entry(lambda prompt: next(lines))
    'one \nmessage'
    >>> read_entry(lambda prompt: next(lines))
    Command(name='set', argument='seed 5')
    '''
    line = read_line(_PROMPT)
    if line.startswith(_QUOTES):
        return _to_quotes(line[len(_QUOTES) :], read_line)
    if line.startswith("/"):
        name, _, argument = line[1:].strip().partition(" ")
        return Command(name.lower(), argument.strip())
    lines = []
    while line.endswith("\\"):
        lines.append(line[:-1])
        try:
            line = read_line(_MORE)
        except EOFError:
            return "\n".join(lines)
    return "\n".join([*lines, line])


def _to_quotes(line: str, read_line: ReadLine) -> str:
    lines = []
    while not line.rstrip().endswith(_QUOTES):
        lines.append(line)
        try:
            line = read_line(_MORE)
        except EOFError:
            return "\n".join(lines)
    lines.append(line.rstrip().removesuffix(_QUOTES))
    return "\n".join(lines).strip("\n")
