"""Tool calls between marks, within or after the text of an answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

from llamacy.chat.reply import tool_call_deepseek, tool_call_json, tool_call_tags
from llamacy.chat.reply.parts import BadCall, Call, Part, Text, Trimmed, cut

_UNDECIDED = 100  # characters, besides a tool's name, that decide about a bare call


@dataclass(frozen=True, slots=True)
class ToolCallStyle:
    """How a model family writes tool calls.

    Attributes
    ----------
    open : str
        The mark before a call.
    close : str or None
        The mark after a call; None if the next `open` or the end of the text ends it.
    read : callable
        Parses the text between the marks; raises ValueError.
    is_bare : bool
        Whether an answer may consist of calls alone, without marks.
    others : tuple of str
        Marks inside calls.
    """

    open: str
    close: str | None
    read: Callable[[str], list[Call]]
    is_bare: bool = False
    others: tuple[str, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """All marks of this style."""
        return (self.open, *([self.close] if self.close else []), *self.others)


HERMES = ToolCallStyle("<tool_call>", "</tool_call>", tool_call_json.one_object)
MISTRAL = ToolCallStyle(
    "[TOOL_CALLS]", None, tool_call_json.list_or_named, others=("[CALL_ID]", "[ARGS]")
)
DEEPSEEK = ToolCallStyle(
    tool_call_deepseek.BEGIN,
    tool_call_deepseek.END,
    tool_call_deepseek.fenced_or_plain,
    others=tool_call_deepseek.MARKS,
)
LLAMA_3 = ToolCallStyle("<|python_tag|>", None, tool_call_json.objects, is_bare=True)


def tagged_style(types: tool_call_tags.Types) -> ToolCallStyle:
    """Return Qwen 3 Coder's style, for tools whose parameters have these types."""
    read = partial(tool_call_tags.tagged, types=types)
    return ToolCallStyle(HERMES.open, HERMES.close, read)


class ToolCallSplitter:
    """Separates tool calls from the text before and between them.

    Parameters
    ----------
    style : ToolCallStyle
        How the model writes calls.
    names : collection of str
        Names of the tools. A bare call of any other name is text.
    """

    def __init__(self, style: ToolCallStyle, names: Collection[str]) -> None:
        self._style = style
        self._held = ""
        self._body: str | None = None  # of the current call; None outside calls
        self._has_calls = False
        self._text = Trimmed(at_start=False)
        self._has_text = False
        self._gap = ""  # written before the next text
        self._begins_bare: re.Pattern[str] | None = None  # None once that is decided
        if style.is_bare and names:
            known = "|".join(map(re.escape, names))
            self._begins_bare = re.compile(
                r'\{\s*("type"\s*:\s*"function"\s*,\s*)?"(name|function)"\s*:\s*'
                rf'"({known})"'
            )
            self._max_undecided = _UNDECIDED + max(map(len, names))
        self._is_bare = False

    def push(self, text: str) -> Iterator[Part]:
        """Add text, and yield the parts that are certain."""
        self._held += text
        if self._begins_bare and not self._decide(self._begins_bare):
            return
        mark: str | None = ""
        while mark is not None and not self._is_bare:
            if self._body is None:
                before, mark, self._held = cut(self._held, [self._style.open])
                yield from self._show(before)
                if mark:
                    self._body = ""
            else:
                close = self._style.close or self._style.open
                before, mark, self._held = cut(self._held, [close])
                self._body += before
                if mark:
                    yield from self._finish_call(closed=True)
                    self._body = None if self._style.close else ""

    def end(self) -> Iterator[Part]:
        """End the text, and yield what was held back."""
        held, self._held = self._held, ""
        if self._is_bare:
            yield from self._finish_bare(held)
        elif self._body is not None:
            self._body += held
            yield from self._finish_call(closed=False)
        else:
            yield from self._show(held)
        space = self._text.rest()
        if space and not self._has_calls:
            yield Text(space)

    def _decide(self, begins_bare: re.Pattern[str]) -> bool:
        """Decide whether the text is a bare call; False if it is too short to tell."""
        start = self._held.lstrip()
        if begins_bare.match(start):
            self._is_bare = True
        elif not start or (start[0] == "{" and len(start) < self._max_undecided):
            return False
        self._begins_bare = None
        return True

    def _show(self, text: str) -> Iterator[Part]:
        if shown := self._text.push(text):
            yield Text(self._gap + shown)
            self._gap, self._has_text = "", True

    def _finish_call(self, *, closed: bool) -> Iterator[Part]:
        """Yield the calls in the body, which is complete."""
        body, self._body = self._body or "", None
        try:
            calls = self._style.read(body)
        except ValueError as error:
            close = self._style.close if closed and self._style.close else ""
            before = self._gap + self._text.rest()
            self._gap, self._has_text = "", True
            yield BadCall(f"{before}{self._style.open}{body}{close}", str(error))
        else:
            yield from self._calls(calls)

    def _finish_bare(self, text: str) -> Iterator[Part]:
        try:
            calls = self._style.read(text)
        except ValueError as error:
            yield BadCall(text, str(error))
        else:
            yield from self._calls(calls)

    def _calls(self, calls: list[Call]) -> Iterator[Part]:
        self._has_calls = True
        self._text = Trimmed()
        self._gap = "\n\n" if self._has_text else ""
        yield from calls
