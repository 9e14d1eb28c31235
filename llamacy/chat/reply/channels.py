"""gpt-oss's response format, "harmony": an answer is several messages with channels.

::

    <|channel|>analysis<|message|>The user asks ...<|end|>
    <|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json
    <|message|>{"city": "Paris"}<|call|>
    <|start|>assistant<|channel|>final<|message|>It is ...<|return|>

Messages in the analysis channel are reasoning; a message with a recipient is a tool
call. Source: OpenAI, https://cookbook.openai.com/articles/openai-harmony.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from llamacy.chat.reply.begun_calls import ARGUMENTS, BegunCalls
from llamacy.chat.reply.parts import (
    BadCall,
    Call,
    Part,
    Place,
    Reasoning,
    Text,
    check_declared,
    cut,
)
from llamacy.chat.reply.tool_call_json import arguments_of

MESSAGE = "<|message|>"
_BEGINNINGS = ("<|start|>", "<|channel|>")
_ENDS = ("<|end|>", "<|call|>", "<|return|>")
MARKS = (MESSAGE, *_BEGINNINGS, *_ENDS, "<|constrain|>")
_ANALYSIS = re.compile(r"<\|channel\|>\s*analysis\b")
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")
_PEOPLE = ("assistant", "user", "all")  # recipients that are no tools
_MAX_HEADER = 256  # characters; longer text is not a header


class ChannelSplitter:
    """Splits an answer into its messages.

    It starts inside the header of the first message, whose beginning is part of the
    prompt. Text that is not in this format is text of the answer.

    Parameters
    ----------
    names : collection of str
        Names of the tools. A message to any other recipient is text.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._held = ""
        self._header: str | None = ""  # None inside a message
        self._call = ""  # text of the current tool call so far, header included
        self._recipient = ""
        self._begun = BegunCalls(None, ())  # tells of the current tool call
        self._kind: type[Text | Reasoning] = Text
        self._shown: set[type[Text | Reasoning]] = set()  # kinds already yielded
        self._gap = ""  # written before the next text of this kind

    def push(self, text: str) -> Iterator[Part]:
        """Add text, and yield the parts that are certain."""
        self._held += text
        mark: str | None = ""
        while mark is not None:
            in_header = self._header is not None
            marks = (MESSAGE, *_ENDS) if in_header else (*_BEGINNINGS, *_ENDS)
            before, mark, self._held = cut(self._held, marks)
            if self._header is None:
                yield from self._continue(before)
                if mark:
                    yield from self._close(mark if mark in _ENDS else "")
                    self._header = mark if mark in _BEGINNINGS else ""
                continue
            self._header += before
            if len(self._header) > _MAX_HEADER:
                after = f"{self._header[_MAX_HEADER:]}{mark or ''}{self._held}"
                yield from self._no_header(self._header[:_MAX_HEADER])
                self._held, mark = after, ""
            elif mark == MESSAGE:
                self._open(self._header)
            elif mark:  # a header without a message
                yield from self._end_header(mark)

    def end(self) -> Iterator[Part]:
        """End the text, and yield what was held back."""
        held, self._held = self._held, ""
        if self._header is None:
            yield from self._continue(held)
            yield from self._close("")
        elif not any(mark in self._header + held for mark in _BEGINNINGS):
            yield from self._no_header(self._header + held)

    def _open(self, header: str) -> None:
        """Begin a message."""
        recipient = _RECIPIENT.search(header)
        self._recipient = recipient[1] if recipient else ""
        if self._recipient in _PEOPLE:
            self._recipient = ""
        self._call = f"{header}{MESSAGE}"
        name = self._recipient.removeprefix("functions.")
        self._begun = BegunCalls(ARGUMENTS, self._names, name)
        self._kind = Reasoning if _ANALYSIS.search(header) else Text
        self._gap = "\n\n" if self._kind in self._shown else ""
        self._header = None

    def _end_header(self, mark: str) -> Iterator[Part]:
        """End a header that no message follows; text without a header is text."""
        header, self._header = self._header or "", ""
        if not any(beginning in header for beginning in _BEGINNINGS):
            yield from self._no_header(header)
            self._header = ""

    def _continue(self, text: str) -> Iterator[Part]:
        """Add text to the current message."""
        if self._recipient:
            self._call += text
            yield from self._begun.push(text)
        elif text:
            yield self._kind(self._gap + text)
            self._gap = ""
            self._shown.add(self._kind)

    def _close(self, mark: str) -> Iterator[Part]:
        """End a message."""
        if not self._recipient:
            return
        written, self._call = self._call, ""
        name = self._recipient.removeprefix("functions.")
        self._recipient = ""
        try:
            body = written[written.index(MESSAGE) + len(MESSAGE) :]
            call = Call(name, arguments_of(body))
            check_declared([call], self._names)
            yield call
        except ValueError as error:
            yield BadCall(written + mark, str(error))

    def _no_header(self, text: str) -> Iterator[Part]:
        """Treat text that was read as a header as text of the answer."""
        self._open("")
        yield from self._continue(text)


class ChannelPlaces:
    """Tells the text of an answer from its headers and its reasoning.

    The same as `ChannelSplitter`, but without knowledge of calls.
    """

    def __init__(self) -> None:
        self._held = ""
        self._header: str | None = ""
        self._is_reasoning = False

    def push(self, text: str) -> Iterator[tuple[str, Place]]:
        """Add text; yield the pieces that are certain, with their places.

        The pieces together are the text.
        """
        self._held += text
        mark: str | None = ""
        while mark is not None:
            before, mark, self._held = cut(self._held, MARKS)
            if before:
                yield before, self._place
            if self._header is not None:
                self._header = f"{self._header}{before}{mark or ''}"[-_MAX_HEADER:]
            if mark == MESSAGE and self._header is not None:
                self._is_reasoning = bool(_ANALYSIS.search(self._header))
                self._header = None
            elif mark and mark != MESSAGE:
                in_header = mark in (*_BEGINNINGS, "<|constrain|>")
                self._header = (self._header or "") + mark if in_header else ""
            if mark:
                yield mark, Place.GAP

    def end(self) -> Iterator[tuple[str, Place]]:
        """End the text, and yield what was held back."""
        if self._held:
            yield self._held, self._place
        self._held = ""

    @property
    def _place(self) -> Place:
        if self._header is None:
            return Place.REASONING if self._is_reasoning else Place.ANSWER
        is_header = any(mark in self._header for mark in _BEGINNINGS)
        return Place.GAP if is_header else Place.ANSWER
