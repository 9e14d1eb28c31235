"""Separating tool calls from the text before and between them."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator

from llamacy.arguments import short
from llamacy.chat.reply import begun_calls
from llamacy.chat.reply.bare_calls import BareHeads, BareValue, Head, Kind
from llamacy.chat.reply.begun_calls import BegunCalls
from llamacy.chat.reply.bodies import AfterTag
from llamacy.chat.reply.marked_body import MarkedBody
from llamacy.chat.reply.parts import (
    BadCall,
    Call,
    CallsEnd,
    Part,
    Text,
    Trimmed,
    check_declared,
    cut,
)
from llamacy.chat.reply.tool_call_json import json_calls
from llamacy.chat.reply.tool_call_marks import ToolCallStyle
from llamacy.chat.reply.tool_call_python import python_calls

_Step = Generator[Part, None, bool]  # returns whether there is more to read


class ToolCallSplitter:
    """Separates tool calls from the text before and between them.

    Parameters
    ----------
    style : ToolCallStyle
        How the model writes calls.
    names : collection of str
        Names of the tools. A call of any other name is text.
    """

    def __init__(self, style: ToolCallStyle, names: Collection[str]) -> None:
        self._style = style
        self._names = frozenset(names)
        self._heads = BareHeads(style.bare, names if style.bare else ())
        self._marks = [mark for mark in (style.open, style.close) if mark]
        self._held = ""
        self._body: MarkedBody | None = None  # of the current call
        self._value: BareValue | None = None  # the current call, if it has no marks
        self._begun = BegunCalls(None, ())  # tells of it
        self._n_told = 0  # characters of it that were looked at
        self._starts_line = True  # whether the line so far is white space
        self._is_behind_call = False
        self._has_calls = False
        self._text = Trimmed(at_start=False)
        self._has_text = False
        self._gap = ""  # written before the next text

    def push(self, text: str) -> Iterator[Part]:
        """Add text, and yield the parts that are certain."""
        self._held += text
        yield from self._read(is_final=False)

    def end(self) -> Iterator[Part]:
        """End the text, and yield what was held back."""
        yield from self._read(is_final=True)
        space = self._text.rest()
        if space and not self._has_calls:
            yield Text(space)

    def _read(self, *, is_final: bool) -> Iterator[Part]:
        """Read what is held, as far as it is certain."""
        goes_on = True
        while goes_on:
            if self._body is not None:
                step = self._read_body(self._body, is_final=is_final)
            elif self._value is not None:
                step = self._read_value(self._value, is_final=is_final)
            else:
                step = self._read_text(is_final=is_final)
            goes_on = yield from step

    def _read_text(self, *, is_final: bool) -> _Step:
        """Read up to where a call begins."""
        before, mark, after = cut(self._held, self._marks)
        shown = 0
        at = self._heads.search(before, 0)
        while at is not None:
            self._pass_over(before[shown:at])
            if self._style.is_bare_first and not self._is_first(before[:at]):
                shown = at
                break
            head = self._head_at(at, is_final=is_final)
            if head.kind is not Kind.TEXT:
                yield from self._show(before[:at])
                self._held = self._held[at:]
                return self._begin(head)
            self._pass_over(before[at])
            shown, at = at + 1, self._heads.search(before, at + 1)
        self._pass_over(before[shown:])
        if is_final and mark is None:
            before, after = before + after, ""
        if mark and mark == self._style.close and not self._is_stray(before):
            before += mark
            self._pass_over(mark)
        elif mark == self._style.open and mark:
            style = self._style
            self._body = MarkedBody(
                style, mark, style.close, style.inside(), self._names
            )
        yield from self._show(before)
        self._held = after
        return mark is not None

    def _is_first(self, before: str) -> bool:
        """Whether nothing of the answer stands before what follows a text."""
        return not (self._has_text or self._has_calls or before.strip())

    def _is_stray(self, before: str) -> bool:
        """Whether a closing mark, which no other opened, stands behind a call."""
        return self._is_behind_call and not before.strip()

    def _head_at(self, at: int, *, is_final: bool) -> Head:
        window = self._held[at : at + self._heads.n_decides]
        head = self._heads.at(window, self._starts_line)
        is_decided = is_final and head.kind is Kind.UNDECIDED
        return Head(Kind.TEXT) if is_decided else head

    def _begin(self, head: Head) -> bool:
        """Begin to read a call without marks; False if that is undecided."""
        style = self._style
        if head.kind is Kind.TAG:
            opening = self._held[:1]
            ends = "</parameter>", "</param>", "parameter>"
            inside = AfterTag(ends, "param")
            self._held = self._held[1:]
            self._body = MarkedBody(
                style, opening, style.bare_end, inside, self._names, is_tag=True
            )
        elif head.kind is not Kind.UNDECIDED:
            self._value = BareValue(head, self._held, style.close)
            is_told = head.kind is Kind.VALUE and self._starts_line
            heads = begun_calls.OBJECTS if is_told else None
            self._begun = BegunCalls(heads, self._names)
            self._n_told = len(head.fence)
        return head.kind is not Kind.UNDECIDED

    def _read_body(self, body: MarkedBody, *, is_final: bool) -> _Step:
        """Read a call between marks."""
        is_over, self._held = body.take(self._held, is_final=is_final)
        yield from body.begun()
        if not is_over:
            return False
        self._body = None
        behind: str | None = ""
        while behind is not None:
            self._held = behind + self._held
            try:
                calls, left = body.calls()
                check_declared(calls, self._names)
            except ValueError as error:
                why, behind = str(error), body.shorten()
            else:
                self._held = left + self._held
                yield from self._calls(calls)
                return True
        yield self._bad(body.written, why)
        return True

    def _read_value(self, value: BareValue, *, is_final: bool) -> _Step:
        """Read a call without marks."""
        held = self._held
        end, behind = len(held), -1
        is_whole = value.feed(held)
        told = held[self._n_told : value.end]
        self._n_told += len(told)
        yield from self._begun.push(told)
        if is_whole:
            found = value.behind(held, is_final=is_final)
            if found is None:
                return False
            assert value.end is not None
            end, behind = value.end, found
        elif not is_final:
            return False
        self._value = None
        is_alone = self._starts_line and behind >= 0
        written = held[:end]
        self._held = held[behind if is_alone else end :]
        try:
            read = python_calls if self._style.bare == "python" else json_calls
            calls, _ = read(written[len(value.head.fence) :])
            is_known = self._names.issuperset(call.name for call in calls)
            why = "" if is_alone else "wanted a call with its lines for itself"
        except ValueError as error:
            calls, why = [], str(error)
            is_known = self._starts_line
        if value.head.kind is Kind.NAMELESS and (not calls or not is_known):
            is_known, calls = False, []
        if calls and not why:
            yield from self._calls(calls)
        elif is_known:
            yield self._bad(written, f"{why}, found {short(written)}" if calls else why)
        else:
            yield CallsEnd()
            yield from self._show(written)
            self._pass_over(written)
            self._held = held[end:]
        return True

    def _pass_over(self, text: str) -> None:
        """Note text that stays text."""
        line, is_new, last = text.rpartition("\n")
        blank = not last.strip()
        self._starts_line = blank and (bool(is_new) or self._starts_line)

    def _show(self, text: str) -> Iterator[Part]:
        if shown := self._text.push(text):
            yield Text(self._gap + shown)
            self._gap, self._has_text, self._is_behind_call = "", True, False

    def _bad(self, text: str, why: str) -> BadCall:
        before = self._gap + self._text.rest()
        self._gap, self._has_text, self._is_behind_call = "", True, False
        self._pass_over(text)
        return BadCall(before + text, why)

    def _calls(self, calls: list[Call]) -> Iterator[Part]:
        self._has_calls = self._is_behind_call = self._starts_line = True
        self._text = Trimmed()
        self._gap = "\n\n" if self._has_text else ""
        yield from calls
        yield CallsEnd()
