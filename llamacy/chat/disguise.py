"""Keeping the text of messages from turning into control tokens.

Control tokens in a template's own text count as such. Text that a user, a document or a
tool wrote is rendered into the same string, and must stay text: otherwise a message
could end its turn and speak for the system (prompt injection). So before the template
sees a message, the first character of each control token's name in it is replaced by a
stand-in, a rare character that occurs nowhere else. Once the rendered text has been
split at its control tokens, the original characters are restored. In between, the
template may trim, slice, compare or copy a message: only the names of control tokens
look different to it.

Not covered is a name that forms only in the template: where a message meets the
template's own text, or where the template removes the middle of a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llamacy.errors import ArgumentError

# Rare ideographs first. Private-use characters only if those run out: Python escapes
# them where a template prints a list or a dict.
_STAND_INS = (*range(0x30000, 0x3134A), *range(0xF0000, 0xF1000))


class Disguise:
    """Replaces the first characters of control tokens' names by stand-ins, and back.

    Parameters
    ----------
    names : iterable of str
        Names of the control tokens.
    texts : iterable of str
        Everything that will be rendered: its characters cannot be stand-ins.

    Attributes
    ----------
    unused : str
        One more character that occurs nowhere, to mark a place.

    Raises
    ------
    ArgumentError
        The texts use up every character that could be a stand-in, as no genuine text
        does.
    """

    def __init__(self, names: Iterable[str], texts: Iterable[str]) -> None:
        self._names = [name for name in names if name]
        first = sorted({name[0] for name in self._names})
        used = set().union(*texts, *self._names)
        free = (chr(code) for code in _STAND_INS if chr(code) not in used)
        self._stand_ins = dict(zip(first, free, strict=False))
        self.unused = next(free, "")
        if not self.unused:
            raise ArgumentError("messages: wanted text, found all of Unicode")
        self._undo = {ord(new): old for old, new in self._stand_ins.items()}

    def put_on(self, text: str) -> str:
        """Return `text` with every control token's name disguised."""
        for name in self._names:
            # repeatedly: in "aaa", one pass leaves one occurrence of the name "aa"
            while name in text:
                text = text.replace(name, self._stand_ins[name[0]] + name[1:])
        return text

    def take_off(self, parts: Iterable[str | int]) -> Iterator[str | int]:
        """Yield token ids and pieces of text, the text with its original characters."""
        for part in parts:
            yield part if isinstance(part, int) else part.translate(self._undo)
