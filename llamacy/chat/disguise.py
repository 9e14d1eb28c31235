"""Keeping what messages say apart from what a template says.

A template's text is read with its control tokens. What a user, a document or a tool
wrote goes into the same text, and must not turn into control tokens there. So before
a template sees it, the first character of every such token's name in it is replaced
by a stand-in, a rare character that occurs nowhere else in it. Once the rendered text
has been cut at its control tokens, the characters come back. A template may trim, cut,
compare or copy a text meanwhile: nothing but the names of control tokens looks
different to it.

What it cannot see is a name that comes about only in the template: where a message
meets the template's own text, or where the template takes something out of its middle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llamacy.errors import ArgumentError

# Ideographs of names long gone; private-use characters only if there must be more:
# where a template writes a list or a dict out, Python escapes those.
_STAND_INS = (*range(0x30000, 0x3134A), *range(0xF0000, 0xF1000))


class Disguise:
    """Replaces the beginnings of control tokens' names by stand-ins, and back.

    Parameters
    ----------
    names : of the control tokens.
    taken : texts whose characters cannot be stand-ins.

    Raises
    ------
    ArgumentError : no character is left, as no text has it that means something.
    """

    def __init__(self, names: Iterable[str], taken: Iterable[str]) -> None:
        self._names = [name for name in names if name]
        first = sorted({name[0] for name in self._names})
        used = set().union(*taken, *self._names)
        free = (chr(code) for code in _STAND_INS if chr(code) not in used)
        self._stand_ins = dict(zip(first, free, strict=False))
        if len(self._stand_ins) < len(first):
            raise ArgumentError("messages: wanted text, found all of Unicode")
        self._undo = {ord(new): old for old, new in self._stand_ins.items()}

    def put_on(self, text: str) -> str:
        """Return `text` without a control token's name in it."""
        for name in self._names:
            # again, as in "aaa" the name "aa" is still there after one replacement
            while name in text:
                text = text.replace(name, self._stand_ins[name[0]] + name[1:])
        return text

    def taken_off(self, parts: Iterable[str | int]) -> Iterator[str | int]:
        """Yield the parts of a text, with its own characters in those that are text."""
        for part in parts:
            yield part if isinstance(part, int) else part.translate(self._undo)
