"""Results of a conversation: answers, their pieces, and tool calls."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from llamacy.results import Completion, Piece


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's request to call a tool.

    Attributes
    ----------
    name : str
        Name of the tool.
    arguments : dict
        JSON values by parameter name. They come from the model unchecked, unless
        `tool_choice` or `strict_tools` asks for valid ones: names and types may differ
        from what the tool declares.
    id : str
        Distinguishes the calls of one conversation.
    """

    name: str
    arguments: dict[str, Any]
    id: str

    def result(self, value: object) -> dict[str, Any]:
        """Return the message that gives the model the result of this call.

        Parameters
        ----------
        value : object
            A string, sent as it is, or any value that JSON can express.

        Returns
        -------
        dict
            A message with the role `tool`, to append to the conversation.

        Raises
        ------
        TypeError
            JSON cannot express `value`.

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
        """Return the call as an entry of a message's `tool_calls`.

        The arguments are a dict, where OpenAI has a string of JSON.
        """
        called = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": called}


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A part of a tool call while it is written.

    Attributes
    ----------
    index : int
        Which of the answer's calls it belongs to.
    arguments : str
        More of the arguments as JSON; may be empty. The parts of a call, one after the
        other, are the JSON of its arguments once the call is complete; those of a call
        that breaks off, or turns out to be malformed, are no complete JSON.
    name : str
        Name of the tool in the first part of a call; empty in all others.
    id : str
        The call's id in its first part; empty in all others.
    """

    index: int
    arguments: str
    name: str = ""
    id: str = ""


class Message(dict[str, Any]):
    """An answer as a message: a dict, to append to the conversation.

    Its keys are `role` and `content`, and, if the answer has them,
    `reasoning_content` and `tool_calls` in OpenAI's shape.
    """

    def _repr_html_(self) -> str:
        from llamacy.notebook import Transcript  # only in a notebook

        return Transcript([self])._repr_html_()

    @property
    def role(self) -> str:
        """The role of the speaker: `assistant`."""
        return str(self["role"])

    @property
    def content(self) -> str:
        """Text of the answer."""
        return str(self["content"])

    @property
    def reasoning(self) -> str:
        """The model's reasoning before the answer, or an empty string."""
        return str(self.get("reasoning_content", ""))

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls that the model asks for."""
        return [
            ToolCall(**part["function"], id=part["id"])
            for part in self.get("tool_calls", ())
        ]


@dataclass(frozen=True, slots=True, repr=False)
class ChatCompletion(Completion):
    """An answer in a conversation: a `Completion` of its prompt.

    Attributes
    ----------
    text : str
        The answer without reasoning and tool calls. `tokens` and `logprobs` cover
        everything that was generated.
    reasoning : str
        The model's reasoning before the answer, or an empty string.
    tool_calls : tuple of ToolCall
        The tool calls that the model asks for.
    bad_calls : tuple of str
        For each malformed tool call, which stays part of `text`, why it could not be
        parsed.
    disabled_tools : tuple of str
        For each tool that could not be called, because its schema cannot be enforced
        and valid arguments were asked for, the reason.
    n_dropped : int
        Oldest messages left out because the context was full.
    n_forgotten : int
        Tokens of the answer's beginning that the model no longer saw when it wrote
        the end, because the context was full.
    """

    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    bad_calls: tuple[str, ...] = ()
    disabled_tools: tuple[str, ...] = ()
    n_dropped: int = 0
    n_forgotten: int = 0

    def _repr_html_(self) -> str:
        from llamacy.notebook.cards import answer_html  # only in a notebook

        return answer_html(self)

    @property
    def message(self) -> Message:
        """The answer as a message, to append to the conversation."""
        message = Message(role="assistant", content=self.text)
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        if self.tool_calls:
            message["tool_calls"] = [call.as_message_part() for call in self.tool_calls]
        return message


@dataclass(frozen=True, slots=True)
class ChatPiece(Piece):
    """A piece of an answer while it is generated.

    Attributes
    ----------
    text : str
        Text of the answer; may be empty.
    reasoning : str
        Text of the reasoning before it; may be empty.
    tool_calls : tuple of ToolCall
        Tool calls completed by this piece.
    call_deltas : tuple of ToolCallDelta
        Parts of tool calls. Calls are told as they are written where the model writes
        arguments as JSON, else at their end.
    """

    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    call_deltas: tuple[ToolCallDelta, ...] = ()
