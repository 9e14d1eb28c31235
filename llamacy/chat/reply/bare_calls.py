"""Finding tool calls that stand in an answer without marks.

Some families write no others; of the rest, the smaller models forget the marks. A call
is recognised by the name of a tool, and counts if it has its lines for itself: within
a line of prose it is an example, or at least no plain call.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum, auto
from typing import NamedTuple

from llamacy.chat.reply.bodies import InQuotes

_UNDECIDED = 100  # characters, besides a tool's name, that decide about a bare call
_FENCE = re.compile(r"```[\w-]*+\s*+")
_FENCE_BEGINS = re.compile(r"`{1,2}|```[\w-]*+\s*+")
_SPACE = re.compile(r"\s+")
_AFTER = re.compile(r"[ \t\r}\]]*+")
_STEMS = tuple(
    opening + key
    for opening in ("{", "[{")
    for key in (
        *('"name":"', '"function":"', '"tool_name":"', '"function":{"name":"'),
        *('"type":"function","name":"', '"type":"function","function":"'),
        '"type":"function","function":{"name":"',
    )
)
_NAMELESS = tuple(
    opening + key
    for opening in ("{", "[{")
    for key in (
        *('"parameters":', '"arguments":', '"function":{"arguments":'),
        *('"function":{"parameters":', '"type":"function","function":{"parameters":'),
        '"type":"function","function":{"arguments":',
    )
)


class Kind(Enum):
    """The text at a place where a call may begin."""

    TEXT = auto()
    UNDECIDED = auto()
    TAG = auto()  # a call in tags
    VALUE = auto()  # one in JSON or Python that names a tool
    NAMELESS = auto()  # an object that may name one at its end


class Head(NamedTuple):
    """The beginning of what may be a call.

    Attributes
    ----------
    kind : Kind
        Its kind.
    fence : str
        The fence before it.
    """

    kind: Kind
    fence: str = ""


class BareHeads:
    """Recognises the beginnings of calls.

    Parameters
    ----------
    bare : str
        See `ToolCallStyle.bare`.
    names : collection of str
        Names of the tools.
    """

    def __init__(self, bare: str, names: Collection[str]) -> None:
        self._names = tuple(names)
        self._python = ("[",) if bare == "python" else ()
        tag = "" if bare in ("json", "python") else _SPACE.sub("", bare)
        self._tags = tuple(dict.fromkeys((tag, tag.rstrip('"') + '"'))) if tag else ()
        stems = (*_STEMS, *_NAMELESS, *(f"[{name}" for name in self._names))
        self._pairs = {stem[:2].replace('"', mark) for stem in stems for mark in "\"'"}
        first = "{[`<" if tag else "{[`"
        self._first = re.compile(f"[{re.escape(first)}]")
        self.n_decides = _UNDECIDED + max(map(len, self._names), default=0)

    def search(self, text: str, at: int) -> int | None:
        """Return the next place where a call may begin."""
        found = self._first.search(text, at) if self._names else None
        return found.start() if found else None

    def at(self, text: str, is_line_start: bool) -> Head:
        """Say what begins with a text, of which `n_decides` characters are enough."""
        is_cut = len(text) < self.n_decides
        pair = text[:2]
        if text[0] in "{[" and pair not in self._pairs and pair[1:].strip():
            return Head(Kind.TEXT)  # by far the most
        fence = ""
        if text.startswith("`"):
            if not is_line_start:
                return Head(Kind.TEXT)
            if _FENCE_BEGINS.fullmatch(text):
                return Head(Kind.UNDECIDED if is_cut else Kind.TEXT)
            found = _FENCE.match(text)
            if found is None:
                return Head(Kind.TEXT)
            fence, text = found[0], text[found.end() :]
        written = _SPACE.sub("", text).replace("'", '"')
        kinds = {
            self._kind(written, self._tags, Kind.TAG, ('"', ">", "<", "")),
            self._kind(written, _STEMS, Kind.VALUE, ('"',)),
            self._kind(written, self._python, Kind.VALUE, ("(",)),
            self._nameless(written),
        }
        for kind in (Kind.TAG, Kind.VALUE, Kind.NAMELESS):
            if kind in kinds:
                return Head(kind, fence)
        return Head(Kind.UNDECIDED if is_cut and Kind.UNDECIDED in kinds else Kind.TEXT)

    def _kind(
        self, text: str, stems: tuple[str, ...], kind: Kind, ends: tuple[str, ...]
    ) -> Kind:
        """Return `kind` if the text begins with one of `stems`, a name and an end."""
        found = Kind.TEXT
        for stem in stems:
            if stem.startswith(text):
                found = Kind.UNDECIDED
            elif text.startswith(stem):
                named = text[len(stem) :]
                for name in self._names:
                    if named.startswith(tuple(name + end for end in ends if end)):
                        return kind
                    if any((name + end).startswith(named) for end in ends):
                        found = Kind.UNDECIDED
        return found

    def _nameless(self, text: str) -> Kind:
        if text.startswith(_NAMELESS):
            return Kind.NAMELESS
        is_begun = any(stem.startswith(text) for stem in _NAMELESS)
        return Kind.UNDECIDED if is_begun else Kind.TEXT


class BareValue:
    """Finds the end of a call in JSON or Python, and what follows it.

    Parameters
    ----------
    head : Head
        Its beginning.
    text : str
        The text from there on.
    close : str or None
        The mark that may follow.
    """

    def __init__(self, head: Head, text: str, close: str | None) -> None:
        self.head = head
        self._close = close or ""
        start = text[len(head.fence) :][:1]
        second = text[len(head.fence) + 1 :].lstrip()[:1]
        is_python = start == "[" and second not in ("{", "[") or second == "'"
        self._quotes = InQuotes("\"'" if is_python else '"')
        self._at = len(head.fence)
        self._depth = 0
        self.end: int | None = None

    def feed(self, text: str) -> bool:
        """Look on in the text, which has grown; say whether the end was found."""
        while self.end is None and self._at < len(text):
            found = _BRACKETS.search(text, self._at)
            before = found.start() if found else len(text)
            self._quotes.feed(text[self._at : before])
            self._at = before
            if found is None:
                break
            self._at += 1
            is_quoted = self._quotes.is_inside
            self._quotes.feed(found[0])
            if is_quoted:
                continue
            self._depth += 1 if found[0] in "{[(" else -1
            if self._depth <= 0:
                self.end = self._at
        return self.end is not None

    def behind(self, text: str, *, is_final: bool) -> int | None:
        """Return where the text goes on after a call that has its lines for itself.

        -1 if other text is on them, None while that is not decided.
        """
        assert self.end is not None
        is_final = is_final or len(text) - self.end > _UNDECIDED
        after = _AFTER.match(text, self.end)
        at = after.end() if after else self.end
        left = text[at:]
        if self.head.fence:
            spaced = left.lstrip()
            if spaced.startswith("```"):
                return len(text) - len(spaced) + 3
            if not is_final and "```".startswith(spaced):
                return None
        if not left:
            return at if is_final else None
        if left[0] in ";,":
            return at + 1
        if left[0] in "\n{[":
            return at
        if self._close and left.startswith(self._close):
            return at + len(self._close)
        if self._close and self._close.startswith(left):
            return at + len(left) if is_final else None
        return -1


_BRACKETS = re.compile(r"[{}\[\]()]")
