"""Requests of OpenAI's response API as arguments of `Model.chat`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llamacy.arguments import checked_choice, checked_integer, short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.chat_request import model_name
from llamacy.protocols.openai.response_input import with_instructions, written_input
from llamacy.protocols.openai.response_tools import Namespaces, chosen, read_tools
from llamacy.protocols.openai.sampling import MAX_TOP, sampling_options
from llamacy.protocols.openai.structure import (
    taken_tools,
    template_options,
    tool_options,
)

_IGNORED: Final = (
    "client_metadata",  # of Codex: its session, its turn
    "max_tool_calls",  # of tools that the server calls
    "stream_options",
)


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """A checked request for a response.

    Attributes
    ----------
    model : str
        The model's name; empty if the client leaves it to the server.
    messages : list of dict
        The new part of the conversation.
    instructions : str or None
        The text of the system, in this response alone.
    previous : str or None
        Id of the response that the conversation goes on from.
    options : dict
        Keyword arguments of `Model.chat`.
    stream : bool
        Whether the response is a stream.
    is_stored : bool
        Whether later responses may go on from this one.
    has_one_call : bool
        Whether the response may have only one tool call.
    echoed : dict
        Fields of the request that the response repeats.
    namespaces : dict
        The namespaces of functions, by the names that the model calls them by.
    """

    model: str
    messages: list[dict[str, Any]]
    instructions: str | None
    previous: str | None
    options: dict[str, Any]
    stream: bool
    is_stored: bool
    has_one_call: bool
    echoed: dict[str, Any]
    namespaces: Namespaces

    def conversation(self, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the whole conversation, after that of the response before."""
        return with_instructions(self.instructions, [*before, *self.messages])


def response_request(body: object) -> ResponseRequest:
    """Check a request's body, all but the contents of its messages.

    Raises
    ------
    ArgumentError
        A field is unknown, or its value is invalid or not supported; the message
        begins with its name.
    """
    fields = Fields(body)
    model = model_name(fields)
    messages = written_input(fields.take("input", []))
    instructions = fields.text("instructions")
    previous = fields.text("previous_response_id")
    echoed = _echoed(fields)
    tools, namespaces = read_tools(taken_tools(fields))
    options: dict[str, Any] = {**sampling_options(fields), **_options(fields, tools)}
    if "tool_choice" in options:
        options["tool_choice"] = chosen(options["tool_choice"], tools, namespaces)
    has_one_call = not fields.flag("parallel_tool_calls", True)
    stream = fields.flag("stream", False)
    is_stored = fields.flag("store", True)
    _refuse(fields)
    if (top := _logprobs(fields)) is not None:
        options["logprobs"] = top
    fields.ignore(_IGNORED)
    fields.finish()
    if not messages and previous is None:
        raise ArgumentError("input: wanted a text or a list of items, found nothing")
    return ResponseRequest(
        model,
        messages,
        instructions,
        previous,
        options,
        stream,
        is_stored,
        has_one_call,
        echoed,
        namespaces,
    )


def _options(fields: Fields, tools: list[Any]) -> dict[str, Any]:
    """Take the options of `Model.chat` that have other names here."""
    options: dict[str, Any] = {}
    if (most := fields.take("max_output_tokens")) is not None:
        options["max_tokens"] = checked_integer("max_output_tokens", most, 1)
    options |= {**tool_options(fields, tools), **_format(fields)}
    reasoning = fields.inner("reasoning")
    if (effort := reasoning.take("effort")) is not None:
        options["reasoning_effort"] = effort
    reasoning.ignore(("context", "generate_summary", "summary"))
    reasoning.finish()
    options |= template_options(fields)
    how = checked_choice(
        "truncation", fields.take("truncation", "disabled"), ("disabled", "auto")
    )
    if how == "auto":
        options["overflow"] = "truncate"
    return options


def _logprobs(fields: Fields) -> int | None:
    """Take the log-probabilities that are wanted, which two fields ask for.

    Other things may be included as well; encrypted reasoning, for one, is in the items
    as it is.
    """
    top = fields.take("top_logprobs")
    n_top = 0 if top is None else checked_integer("top_logprobs", top, 0, MAX_TOP)
    is_included = "message.output_text.logprobs" in fields.items("include")
    return n_top if is_included or n_top else None


def _format(fields: Fields) -> dict[str, Any]:
    """Take the form of the text, which the chat completion API has in two layers."""
    text = fields.inner("text")
    wanted = text.take("format", {"type": "text"})
    text.ignore(("verbosity",))
    text.finish()
    match wanted:
        case {"type": "text"}:
            return {}
        case {"type": "json_object"}:
            return {"response_format": {"type": "json_object"}}
        case {"type": "json_schema", "schema": schema}:
            return {"json_schema": schema}
    raise ArgumentError(
        f"text.format: wanted text, json_object or json_schema, found {short(wanted)}"
    )


def _refuse(fields: Fields) -> None:
    """Refuse fields that ask for responses which llamacy cannot give."""
    fields.refuse("background", "responses are generated while the client waits", (0,))
    fields.refuse("conversation", "previous_response_id takes its place")
    fields.refuse("prompt", "the server has no stored prompts")


def _echoed(fields: Fields) -> dict[str, Any]:
    """Return the fields of the request that a response repeats, with their defaults."""
    return {
        "instructions": fields.take("instructions"),
        "max_output_tokens": fields.take("max_output_tokens"),
        "metadata": fields.take("metadata", {}),
        "parallel_tool_calls": fields.take("parallel_tool_calls", True),
        "previous_response_id": fields.take("previous_response_id"),
        "reasoning": {"effort": None, "summary": None, **fields.take("reasoning", {})}
        if isinstance(fields.take("reasoning", {}), Mapping)
        else None,
        "store": fields.take("store", True),
        "temperature": fields.take("temperature"),
        "text": fields.take("text", {"format": {"type": "text"}}),
        "tool_choice": fields.take("tool_choice", "auto"),
        "tools": fields.take("tools", []),
        "top_p": fields.take("top_p"),
        "truncation": fields.take("truncation", "disabled"),
    }
