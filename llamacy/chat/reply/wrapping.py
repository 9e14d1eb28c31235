"""Answers whose text and calls stand in messages or sections of their own.

Solar Open's, for example, whose prompts end with `<|begin|>assistant`::

    <|think|>The user asks ...<|end|><|begin|>assistant<|content|>I look.<|end|>
    <|begin|>assistant<|tool_calls|><|tool_call:begin|>a1b2c3d4e5...<|calls|>

Or Kimi K3's, whose prompts end within a section::

    The user asks ...<|close|>think<|sep|><|open|>response<|sep|>I look.
    <|close|>response<|sep|><|open|>tools<|sep|>...<|close|>tools<|sep|>
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from llamacy.chat.reply.parts import Part, Text, cut
from llamacy.chat.reply.thinking import ThinkingMarks
from llamacy.chat.reply.tool_call_marks import ToolCallStyle


@dataclass(frozen=True, slots=True)
class Wrapping:
    """The marks around the parts of an answer.

    Attributes
    ----------
    found : tuple of str
        A template that has all of these means it.
    thinking : ThinkingMarks
        The marks around reasoning.
    between : str
        The text behind reasoning, before anything else.
    header : str
        The text before the answer's own.
    marks : tuple of str
        All marks around text, which are no part of it.
    """

    found: tuple[str, ...]
    thinking: ThinkingMarks
    between: str
    header: str
    marks: tuple[str, ...]


SOLAR: Final = Wrapping(
    ("<|begin|>assistant", "<|content|>", "<|think|>"),
    ThinkingMarks("<|think|>", "<|end|>"),
    "<|begin|>assistant",
    "<|content|>",
    ("<|begin|>assistant", "<|content|>", "<|end|>"),
)

KIMI_K3: Final = Wrapping(
    ("'<|open|>'", "'<|close|>'", "open_tag('response')"),
    ThinkingMarks("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    "<|open|>response<|sep|>",
    "",
    (
        "<|open|>response<|sep|>",
        "<|close|>response<|sep|>",
        "<|close|>message<|sep|>",
    ),
)

_KNOWN: Final = (SOLAR, KIMI_K3)


def wrapping_of(template: str) -> Wrapping | None:
    """Return how a template's answers are wrapped; None if they are not."""
    for wrapping in _KNOWN:
        if all(mark in template for mark in wrapping.found):
            return wrapping
    return None


class Unwrapper:
    """Leaves the marks around an answer's text out; calls stay as they are.

    Parameters
    ----------
    wrapping : Wrapping
        The marks.
    calls : ToolCallStyle or None
        How calls are written, if there may be any.
    """

    def __init__(self, wrapping: Wrapping, calls: ToolCallStyle | None) -> None:
        self._marks = wrapping.marks
        self._open = (calls.open,) if calls else ()
        self._close = calls.close if calls else None
        self._held = ""
        self._is_in_calls = False

    def push(self, text: str) -> Iterator[Part]:
        """Add text, and yield the parts that are certain."""
        self._held += text
        mark: str | None = ""
        while mark is not None:
            sought = (*self._marks, *self._open)
            if self._is_in_calls:
                sought = (self._close,) if self._close else ()
            before, mark, self._held = cut(self._held, sought)
            if mark and mark not in self._marks:
                self._is_in_calls = mark in self._open
                before += mark
            if before:
                yield Text(before)

    def end(self) -> Iterator[Part]:
        """End the text, and yield what was held back."""
        if self._held:
            yield Text(self._held)
        self._held = ""
