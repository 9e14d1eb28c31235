"""Reading one answer: generated text in, the parts of the answer out."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from llamacy.chat.reply.channels import ChannelSplitter
from llamacy.chat.reply.parts import (
    ArgumentText,
    BadCall,
    Call,
    CallBegun,
    CallsEnd,
    Part,
    Reasoning,
    Splitter,
    Text,
)
from llamacy.chat.reply.recipients import RecipientSplitter
from llamacy.chat.reply.style import ReplyStyle
from llamacy.chat.reply.thinking import ThinkingSplitter
from llamacy.chat.reply.told_calls import ToldCalls
from llamacy.chat.reply.tool_call_splitter import ToolCallSplitter
from llamacy.chat.reply.wrapping import Unwrapper
from llamacy.chat.results import ToolCall, ToolCallDelta

_DIGITS = string.ascii_lowercase + string.digits


def _salt() -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(6))


@dataclass(frozen=True, slots=True)
class ReplyReader:
    """Reads the answers to one prompt.

    Attributes
    ----------
    style : ReplyStyle
        How the model marks reasoning and tool calls.
    is_thinking : bool
        Whether the prompt ends with the mark that opens reasoning.
    salt : str
        Six characters that begin the id of each tool call without one of its own, so
        that reading the same answer again gives the same ids. With the call's number
        they make the nine characters that Mistral's templates demand.
    begun : str
        The beginning of the answer that the prompt ends with; it is read, but is no
        part of what is returned.
    is_answering : bool
        Whether the prompt ends with the mark that closes reasoning: the answer begins
        at once.
    """

    style: ReplyStyle
    is_thinking: bool = False
    salt: str = field(default_factory=_salt)
    begun: str = ""
    is_answering: bool = False

    def begin(self) -> Reply:
        """Return a `Reply` that reads an answer piece by piece."""
        reply = Reply(self._splitters(), self.salt)
        if self.begun:
            reply.skip(self.begun, self._known())
        return reply

    @property
    def begun_text(self) -> str:
        """The text of the answer that the prompt ends with."""
        return self._known().text

    def _known(self) -> Reply:
        """Return a `Reply` that has read the beginning, and ended."""
        known = Reply(self._splitters(), self.salt)
        known.push(self.begun)
        known.end()
        return known

    def _splitters(self) -> list[Splitter]:
        splitters: list[Splitter] = []
        style = self.style
        if style.has_channels:
            splitters.append(ChannelSplitter(style.names))
        if style.has_recipients:
            splitters.append(RecipientSplitter(style.names))
        if style.thinking:
            splitters.append(
                ThinkingSplitter(style.thinking, self.is_thinking, style.always_thinks)
            )
        if style.wrapping:
            splitters.append(Unwrapper(style.wrapping, style.tool_calls))
        if style.tool_calls:
            splitters.append(ToolCallSplitter(style.tool_calls, style.names))
        return splitters

    def whole(self, text: str) -> Reply:
        """Return a `Reply` that has read the complete `text`."""
        reply = self.begin()
        reply.push(text)
        reply.end()
        return reply


@dataclass(frozen=True, slots=True)
class Change:
    """The changes that a piece of text makes to an answer."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    bad_calls: tuple[str, ...] = ()
    call_deltas: tuple[ToolCallDelta, ...] = ()

    def __bool__(self) -> bool:
        is_told = self.tool_calls or self.call_deltas
        return bool(self.text or self.reasoning or is_told)


class Reply:
    """An answer while it is read.

    Parameters
    ----------
    splitters : list of Splitter
        A chain: each splits the text that the one before it leaves.
    salt : str
        The reader's salt.
    """

    def __init__(self, splitters: list[Splitter], salt: str) -> None:
        self._splitters = splitters
        self._told = ToldCalls(salt)
        self._changes: list[Change] = []
        # held back of a text that was skipped
        self._skipped_text = ""
        self._skipped_reasoning = ""

    @property
    def text(self) -> str:
        """Text of the answer so far."""
        return "".join(change.text for change in self._changes)

    @property
    def reasoning(self) -> str:
        """Reasoning so far."""
        return "".join(change.reasoning for change in self._changes)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Tool calls so far, in order."""
        return tuple(call for change in self._changes for call in change.tool_calls)

    @property
    def bad_calls(self) -> tuple[str, ...]:
        """For each malformed tool call so far, why it could not be parsed."""
        return tuple(why for change in self._changes for why in change.bad_calls)

    def push(self, text: str) -> Change:
        """Add text; return the parts that are certain."""
        return self._record(self._split(text, 0))

    def end(self) -> Change:
        """End the answer; return what was held back."""
        return self._record(self._end_splitters())

    def skip(self, begun: str, whole: Reply) -> None:
        """Read the beginning of an answer that the caller knows already.

        Parameters
        ----------
        begun : str
            The beginning.
        whole : Reply
            A reply that has read it and ended.
        """
        self.push(begun)
        self._skipped_text = whole.text.removeprefix(self.text)
        self._skipped_reasoning = whole.reasoning.removeprefix(self.reasoning)
        self._changes.clear()
        self._told.forget()

    def _split(self, text: str, first: int) -> Iterator[Part]:
        """Send text through the chain, beginning with the splitter `first`."""
        if first == len(self._splitters):
            yield Text(text)
            return
        for part in self._splitters[first].push(text):
            if isinstance(part, Text):
                yield from self._split(part.text, first + 1)
            else:
                yield part

    def _end_splitters(self) -> Iterator[Part]:
        for i, splitter in enumerate(self._splitters):
            for part in splitter.end():
                if isinstance(part, Text):
                    yield from self._split(part.text, i + 1)
                else:
                    yield part

    def _record(self, parts: Iterator[Part]) -> Change:
        text, reasoning, calls, bad = "", "", list[ToolCall](), list[str]()
        for part in parts:
            match part:
                case Text():
                    text += part.text
                case Reasoning():
                    reasoning += part.text
                case CallBegun():
                    self._told.begin(part)
                case ArgumentText():
                    self._told.add(part.text)
                case Call():
                    calls.append(self._told.end(part))
                case CallsEnd():
                    self._told.drop()
                case BadCall():
                    self._told.drop()
                    text += part.text
                    bad.append(part.why)
        if text and self._skipped_text:
            text, self._skipped_text = text.removeprefix(self._skipped_text), ""
        if reasoning and self._skipped_reasoning:
            reasoning = reasoning.removeprefix(self._skipped_reasoning)
            self._skipped_reasoning = ""
        deltas = self._told.deltas()
        change = Change(text, reasoning, tuple(calls), tuple(bad), deltas)
        self._changes.append(change)
        return change
