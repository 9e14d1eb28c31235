"""Functionary's answers, which name a recipient for each part.

::

    all
    I look it up.>>>weather
    {"city": "Paris"}

The prompt ends with the first `>>>`. Text for `all` is the user's; everything else is a
call of the tool that is named. Source: the chat template of functionary-medium-v3.2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from llamacy.chat.reply.begun_calls import ARGUMENTS, BegunCalls
from llamacy.chat.reply.parts import BadCall, Call, Part, Text, Trimmed, cut
from llamacy.chat.reply.tool_call_json import arguments_of

MARK = ">>>"
USER = "all"


class RecipientSplitter:
    """Splits an answer into the parts for its recipients.

    A mark counts if the name of a tool, or `all`, has the rest of its line for itself.
    A text that begins with neither is the user's.

    Parameters
    ----------
    names : collection of str
        Names of the tools.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._lines = tuple(f"{name}\n" for name in (USER, *names))
        self._held = ""
        self._mark = ""  # before the recipient that is awaited
        self._is_header = True
        self._name = ""  # the tool's, inside a call
        self._written = ""  # the header of the call
        self._arguments = ""
        self._begun = BegunCalls(None, ())  # tells of the call
        self._text = Trimmed(at_start=False)

    def push(self, text: str) -> Iterator[Part]:
        """Add text, and yield the parts that are certain."""
        self._held += text
        yield from self._read(is_final=False)

    def end(self) -> Iterator[Part]:
        """End the text, and yield what was held back."""
        yield from self._read(is_final=True)
        yield from self._end_call()
        if space := self._text.rest():
            yield Text(space)

    def _read(self, *, is_final: bool) -> Iterator[Part]:
        while self._held or self._is_header:
            if not self._is_header:
                before, mark, self._held = cut(self._held, [MARK])
                if mark is None and is_final:
                    before, self._held = before + self._held, ""
                yield from self._continue(before)
                if mark is None:
                    return
                self._mark, self._is_header = mark, True
            named = [line for line in self._lines if self._held.startswith(line)]
            if named:
                yield from self._to(named[0])
            elif not is_final and any(
                line.startswith(self._held) for line in self._lines
            ):
                return
            else:
                self._is_header = False
                yield from self._continue(self._mark)
                if not self._held:
                    return

    def _to(self, line: str) -> Iterator[Part]:
        """Begin a part, unless the mark is inside the arguments of a call."""
        self._is_header = False
        if self._name and not _is_whole(self._arguments):
            yield from self._continue(self._mark)
            return
        yield from self._end_call()
        self._held = self._held.removeprefix(line)
        name = line.rstrip("\n")
        if name != USER:
            self._text.rest()
            self._name, self._arguments = name, ""
            self._begun = BegunCalls(ARGUMENTS, (name,), name)
            self._written = f"{self._mark}{line}"

    def _continue(self, text: str) -> Iterator[Part]:
        """Add text to the current part."""
        if self._name:
            self._arguments += text
            yield from self._begun.push(text)
        elif shown := self._text.push(text):
            yield Text(shown)

    def _end_call(self) -> Iterator[Part]:
        """End the current part, if it is a call."""
        name, self._name = self._name, ""
        if not name:
            return
        try:
            yield Call(name, arguments_of(self._arguments))
        except ValueError as error:
            yield BadCall(self._written + self._arguments, str(error))


def _is_whole(arguments: str) -> bool:
    """Whether the text is the arguments of a call."""
    try:
        arguments_of(arguments)
    except ValueError:
        return False
    return True
