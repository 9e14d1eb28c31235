"""What a conversation returns: answers, whole and in pieces, and calls of tools."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from llamacy.results import Completion, Piece


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model wants made.

    Attributes
    ----------
    name : of the tool.
    arguments : by name, plain values as of JSON. The model wrote them: they may be
        others than the tool takes.
    id : tells the calls of a conversation apart.
    """

    name: str
    arguments: dict[str, Any]
    id: str

    def result(self, value: object) -> dict[str, Any]:
        """Return a message that tells the model what came of the call.

        Parameters
        ----------
        value : a text, or what JSON can express.

        Examples
        --------
        >>> ToolCall("add", {"a": 1, "b": 2}, "k3f9a2000").result(3)["content"]
        '3'
        """
        is_text = isinstance(value, str)
        text = value if is_text else json.dumps(value, ensure_ascii=False)
        return {
            "role": "tool",
            "tool_call_id": self.id,
            "name": self.name,
            "content": text,
        }

    def as_message_part(self) -> dict[str, Any]:
        """Return it as it stands in a message; the arguments are a dict there."""
        called = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": called}


class Message(dict[str, Any]):
    """An answer as a message: a dict, to be appended to the others.

    Its keys are `role` and `content`, `reasoning_content` if there is some, and
    `tool_calls`, in OpenAI's shape, if there are any.
    """

    @property
    def role(self) -> str:
        """Who speaks: ``"assistant"``."""
        return str(self["role"])

    @property
    def content(self) -> str:
        """The answer."""
        return str(self["content"])

    @property
    def reasoning(self) -> str:
        """What the model thought before it answered; "" if nothing."""
        return str(self.get("reasoning_content", ""))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls it wants made."""
        return [
            ToolCall(**part["function"], id=part["id"])
            for part in self.get("tool_calls", ())
        ]


@dataclass(frozen=True, slots=True, repr=False)
class ChatCompletion(Completion):
    """An answer in a conversation: a completion of the prompt it was written as.

    Attributes
    ----------
    text : the answer, without reasoning and calls; `tokens` are all there were.
    reasoning : what the model thought before; "" if nothing.
    tool_calls : the calls it wants made.
    bad_calls : why something in `text` that begins like a call is none.
    n_dropped : messages left out, the oldest, because the context was full.
    n_forgotten : tokens of the answer itself that the model was no longer shown at
        the end, because the context was full.
    """

    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    bad_calls: tuple[str, ...] = ()
    n_dropped: int = 0
    n_forgotten: int = 0

    @property
    def message(self) -> Message:
        """The answer as a message, to be appended to the others."""
        made = Message(role="assistant", content=self.text)
        if self.reasoning:
            made["reasoning_content"] = self.reasoning
        if self.tool_calls:
            made["tool_calls"] = [one.as_message_part() for one in self.tool_calls]
        return made


@dataclass(frozen=True, slots=True)
class ChatPiece(Piece):
    """A part of an answer while it is generated.

    Attributes
    ----------
    text : of the answer; may be empty.
    reasoning : of what the model thinks before that.
    tool_calls : calls, each whole.
    """

    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
