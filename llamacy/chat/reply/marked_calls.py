"""Calls between marks, in or after an answer's text."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial

from llamacy.chat.reply import call_texts, deepseek_calls, tagged_calls
from llamacy.chat.reply.parts import BadCall, Call, Part, Text, Trimmed, cut

_UNDECIDED = 100  # characters, besides a tool's name: by then a bare call is clear


@dataclass(frozen=True, slots=True)
class CallStyle:
    """How a family of models writes calls.

    Attributes
    ----------
    open : the mark that begins one.
    close : the mark that ends it; None: the next one, or the end of the text.
    read : reads what is between them; raises ValueError.
    is_bare : whether a text may be nothing but calls, without the mark.
    others : marks within calls.
    """

    open: str
    close: str | None
    read: Callable[[str], list[Call]]
    is_bare: bool = False
    others: tuple[str, ...] = ()

    @property
    def marks(self) -> tuple[str, ...]:
        """All its marks."""
        return (self.open, *([self.close] if self.close else []), *self.others)


HERMES = CallStyle("<tool_call>", "</tool_call>", call_texts.one_object)
MISTRAL = CallStyle(
    "[TOOL_CALLS]", None, call_texts.list_or_named, others=("[CALL_ID]", "[ARGS]")
)
DEEPSEEK = CallStyle(
    deepseek_calls.BEGIN,
    deepseek_calls.END,
    deepseek_calls.fenced_or_plain,
    others=deepseek_calls.MARKS,
)
LLAMA_3 = CallStyle("<|python_tag|>", None, call_texts.objects, is_bare=True)


def tagged_style(types: tagged_calls.Types) -> CallStyle:
    """Return how Qwen 3 Coder calls tools whose parameters have these types."""
    read = partial(tagged_calls.tagged, types=types)
    return CallStyle(HERMES.open, HERMES.close, read)


class CallSplitter:
    """Tells calls apart from the text before and between them.

    Parameters
    ----------
    style : how the model writes calls.
    names : of the tools; bare calls of others are text.
    """

    def __init__(self, style: CallStyle, names: Collection[str]) -> None:
        self._style = style
        self._held = ""
        self._body: str | None = None  # of a call that is being read
        self._has_calls = False
        self._text = Trimmed(at_start=False)
        self._has_text = False
        self._gap = ""  # to put before what follows
        self._begins_bare: re.Pattern[str] | None = None  # not once that is decided
        if style.is_bare and names:
            known = "|".join(map(re.escape, names))
            self._begins_bare = re.compile(
                r'\{\s*("type"\s*:\s*"function"\s*,\s*)?"(name|function)"\s*:\s*'
                rf'"({known})"'
            )
            self._max_undecided = _UNDECIDED + max(map(len, names))
        self._is_bare = False

    def push(self, text: str) -> Iterator[Part]:
        """Add text."""
        self._held += text
        if self._begins_bare and not self._decide(self._begins_bare):
            return
        mark: str | None = ""
        while mark is not None and not self._is_bare:
            if self._body is None:
                before, mark, self._held = cut(self._held, [self._style.open])
                yield from self._said(before)
                if mark:
                    self._body = ""
            else:
                close = self._style.close or self._style.open
                before, mark, self._held = cut(self._held, [close])
                self._body += before
                if mark:
                    yield from self._called(closed=True)
                    self._body = None if self._style.close else ""

    def end(self) -> Iterator[Part]:
        """Say that nothing follows."""
        held, self._held = self._held, ""
        if self._is_bare:
            yield from self._called_bare(held)
        elif self._body is not None:
            self._body += held
            yield from self._called(closed=False)
        else:
            yield from self._said(held)
        space = self._text.rest()
        if space and not self._has_calls:
            yield Text(space)

    def _decide(self, begins_bare: re.Pattern[str]) -> bool:
        """Find out whether the text is a bare call; False as long as that is open."""
        begun = self._held.lstrip()
        if begins_bare.match(begun):
            self._is_bare = True
        elif not begun or (begun[0] == "{" and len(begun) < self._max_undecided):
            return False
        self._begins_bare = None
        return True

    def _said(self, text: str) -> Iterator[Part]:
        if shown := self._text.push(text):
            yield Text(self._gap + shown)
            self._gap, self._has_text = "", True

    def _called(self, closed: bool) -> Iterator[Part]:
        """Give the calls whose text is complete."""
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

    def _called_bare(self, text: str) -> Iterator[Part]:
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
