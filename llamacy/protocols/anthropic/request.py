"""Requests of Anthropic's messages API as arguments of `Model.chat`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from llamacy.arguments import (
    checked_choice,
    checked_integer,
    checked_strings,
    short,
)
from llamacy.errors import ArgumentError
from llamacy.protocols.anthropic.blocks import written_messages, written_system
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.chat_request import model_name
from llamacy.protocols.openai.sampling import sampling_options
from llamacy.protocols.openai.structure import taken_tools

_IGNORED: Final = (
    "cache_control",  # what was read is found again without being told
    "container",
    "context_management",
    "inference_geo",
    "speed",
)
_KINDS: Final = ("enabled", "adaptive", "disabled")


@dataclass(frozen=True, slots=True)
class MessageRequest:
    """A checked request for a message.

    Attributes
    ----------
    model : str
        The model's name; empty if the client leaves it to the server.
    messages : list of dict
        The conversation, the system's message first.
    prompt_options : dict
        Keyword arguments of `Model.chat` and `Model.count_tokens` about the prompt.
    options : dict
        All other keyword arguments of `Model.chat`.
    stops : tuple of str
        Texts that end the answer.
    shows_thinking : bool
        Whether the answer has the model's reasoning.
    has_one_call : bool
        Whether the answer may have only one tool call.
    stream : bool
        Whether the answer is a stream.
    """

    model: str
    messages: list[dict[str, Any]]
    prompt_options: dict[str, Any]
    options: dict[str, Any]
    stops: tuple[str, ...]
    shows_thinking: bool
    has_one_call: bool
    stream: bool


def message_request(body: object, *, is_counted: bool = False) -> MessageRequest:
    """Check a request's body.

    Parameters
    ----------
    body : object
        The body.
    is_counted : bool
        Whether only its tokens are to be counted: it has no `max_tokens` then.

    Raises
    ------
    ArgumentError
        A field is unknown, or its value is invalid or not supported; the message
        begins with its name.
    """
    fields = Fields(body)
    model = model_name(fields)
    messages = written_system(fields.take("system"))
    messages += written_messages(fields.take("messages", []))
    options: dict[str, Any] = {**sampling_options(fields)}
    most = fields.take("max_tokens")
    if not is_counted or most is not None:
        # more than the context holds is fine: clients ask for what Claude may write
        options["max_tokens"] = checked_integer("max_tokens", most, 1)
    stops = checked_strings("stop_sequences", fields.take("stop_sequences"))
    if stops:
        options["stop"] = stops
    shows_thinking = _thinks(fields)
    prompt_options, has_one_call = _tools(fields)
    prompt_options["template_arguments"] = {"enable_thinking": shows_thinking}
    stream = fields.flag("stream", False)
    options |= _format(fields)
    fields.refuse("mcp_servers", "the server calls no tools", ([],))
    fields.ignore(_IGNORED)
    fields.finish()
    return MessageRequest(
        model,
        messages,
        prompt_options,
        options,
        stops,
        shows_thinking,
        has_one_call,
        stream,
    )


def _thinks(fields: Fields) -> bool:
    """Take the fields about thinking; return whether the client asks for it."""
    thinking = fields.inner("thinking")
    kind = checked_choice("thinking.type", thinking.take("type", "disabled"), _KINDS)
    thinking.ignore(("budget_tokens", "display"))
    thinking.finish()
    return kind != "disabled"


def _tools(fields: Fields) -> tuple[dict[str, Any], bool]:
    """Take the tools and their choice, and whether there may be only one call."""
    tools = enumerate(taken_tools(fields))
    schemas = [_tool(f"tools[{index}]", tool) for index, tool in tools]
    choice = fields.inner("tool_choice")
    kind = choice.take("type", "auto")
    kind = checked_choice("tool_choice.type", kind, ("auto", "any", "tool", "none"))
    name = choice.take("name")
    if kind == "tool" and not isinstance(name, str):
        raise ArgumentError(f"tool_choice.name: wanted a name, found {short(name)}")
    has_one_call = choice.flag("disable_parallel_tool_use", False)
    choice.finish()
    options: dict[str, Any] = {"tools": schemas} if schemas else {}
    if kind != "auto" and (schemas or kind != "none"):
        options["tool_choice"] = {"any": "required", "tool": name}.get(kind, kind)
    return options, has_one_call


def _tool(name: str, tool: object) -> dict[str, Any]:
    """Return a tool in the shape that chat templates expect."""
    if not isinstance(tool, Mapping):
        raise ArgumentError(f"{name}: wanted an object, found {short(tool)}")
    if tool.get("type") not in (None, "custom"):
        raise ArgumentError(
            f"{name}.type: wanted custom: the server has no tools of its own, "
            f"found {short(tool['type'])}"
        )
    function = {"name": tool.get("name"), "parameters": tool.get("input_schema")}
    if (description := tool.get("description")) is not None:
        function["description"] = description
    return {"type": "function", "function": function}


def _format(fields: Fields) -> dict[str, Any]:
    """Take the form of the answer, which early clients give as a field of its own."""
    config = fields.inner("output_config")
    wanted = config.take("format", fields.take("output_format"))
    config.ignore(("effort",))
    config.finish()
    match wanted:
        case None:
            return {}
        case {"type": "json_schema", "schema": schema}:
            return {"json_schema": schema}
    raise ArgumentError(
        f"output_config.format: wanted a json_schema, found {short(wanted)}"
    )
