"""Reading one answer: what a model writes in, the answer's parts out."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field

from llamacy.chat.reply.channels import ChannelSplitter
from llamacy.chat.reply.marked_calls import CallSplitter
from llamacy.chat.reply.parts import BadCall, Call, Part, Reasoning, Splitter, Text
from llamacy.chat.reply.style import ReplyStyle
from llamacy.chat.reply.thinking import ThinkingSplitter
from llamacy.chat.results import ToolCall

_DIGITS = string.ascii_lowercase + string.digits


def _salt() -> str:
    return "".join(secrets.choice(_DIGITS) for _ in range(6))


@dataclass(frozen=True, slots=True)
class ReplyReader:
    """Reads the answers to one prompt.

    Attributes
    ----------
    style : how the model writes them.
    is_thinking : whether the prompt ends with the mark that begins reasoning.
    salt : begins the ids of calls that the model gives none, so that an answer that
        is read again has the same. With their number it makes the nine characters
        that Mistral's templates want.
    """

    style: ReplyStyle
    is_thinking: bool = False
    salt: str = field(default_factory=_salt)

    def begin(self) -> Reply:
        """Begin to read an answer."""
        splitters: list[Splitter] = []
        style = self.style
        if style.has_channels:
            splitters.append(ChannelSplitter())
        if style.thinking:
            splitters.append(ThinkingSplitter(style.thinking, self.is_thinking))
        if style.calls:
            splitters.append(CallSplitter(style.calls, style.names))
        return Reply(splitters, self.salt)

    def whole(self, text: str) -> Reply:
        """Read an answer that is at its end."""
        reply = self.begin()
        reply.push(text)
        reply.end()
        return reply


@dataclass(frozen=True, slots=True)
class Change:
    """What some text adds to an answer."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    bad_calls: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.text or self.reasoning or self.tool_calls)


class Reply:
    """An answer that is being read.

    Parameters
    ----------
    splitters : each takes the text that the one before leaves.
    salt : see ReplyReader.

    Attributes
    ----------
    text, reasoning, tool_calls, bad_calls : what was read so far.
    """

    def __init__(self, splitters: list[Splitter], salt: str) -> None:
        self._splitters = splitters
        self._salt = salt
        self._changes: list[Change] = []
        self._n_calls = 0

    @property
    def text(self) -> str:
        """The answer's text."""
        return "".join(change.text for change in self._changes)

    @property
    def reasoning(self) -> str:
        """What comes before it."""
        return "".join(change.reasoning for change in self._changes)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Calls, in their order."""
        return tuple(call for change in self._changes for call in change.tool_calls)

    @property
    def bad_calls(self) -> tuple[str, ...]:
        """Why something in the text is no call."""
        return tuple(why for change in self._changes for why in change.bad_calls)

    def push(self, text: str) -> Change:
        """Add text; return what has become sure."""
        return self._changed(self._split(text, 0))

    def end(self) -> Change:
        """Return what is left, as nothing follows."""
        return self._changed(self._ended())

    def _split(self, text: str, first: int) -> Iterator[Part]:
        """Send text through the splitters from the `first` on."""
        if first == len(self._splitters):
            yield Text(text)
            return
        for part in self._splitters[first].push(text):
            if isinstance(part, Text):
                yield from self._split(part.text, first + 1)
            else:
                yield part

    def _ended(self) -> Iterator[Part]:
        for i, splitter in enumerate(self._splitters):
            for part in splitter.end():
                if isinstance(part, Text):
                    yield from self._split(part.text, i + 1)
                else:
                    yield part

    def _changed(self, parts: Iterator[Part]) -> Change:
        text, reasoning, calls, bad = "", "", list[ToolCall](), list[str]()
        for part in parts:
            match part:
                case Text():
                    text += part.text
                case Reasoning():
                    reasoning += part.text
                case Call():
                    calls.append(self._named(part))
                case BadCall():
                    text += part.text
                    bad.append(part.why)
        change = Change(text, reasoning, tuple(calls), tuple(bad))
        self._changes.append(change)
        return change

    def _named(self, call: Call) -> ToolCall:
        """Give a call an id, if it has none."""
        call_id = call.id or f"{self._salt}{self._n_calls:03}"
        self._n_calls += 1
        return ToolCall(call.name, call.arguments, call_id)
