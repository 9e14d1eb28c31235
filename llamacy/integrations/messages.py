"""Entries of conversations that several libraries' messages become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamacy import ArgumentError, LlamacyError
from llamacy.chat import variables
from llamacy.chat.formats import TemplateSource, has_template

if TYPE_CHECKING:
    from llamacy import Model


def tool_call_entry(
    id: str | None, name: str, arguments: dict[str, Any] | str
) -> dict[str, Any]:
    """Return a tool call as an entry of a message's `tool_calls`."""
    return {
        "id": id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def completed(dicts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a conversation, with names for the results of tools that have none.

    Templates want the name of the call, and libraries leave it out: it is that of the
    call with the same id.

    Raises
    ------
    ArgumentError
        There are no messages: an empty list would be no conversations for `Model.chat`.
    """
    if not dicts:
        raise ArgumentError("messages: wanted at least one, found none")
    names: dict[str, str] = {}
    for one in dicts:
        for call in one.get("tool_calls", ()):
            names[call["id"]] = call["function"]["name"]
        if one["role"] == "tool" and one.get("tool_call_id") in names:
            one.setdefault("name", names[one["tool_call_id"]])
    return dicts


def has_chat_template(model: Model) -> bool:
    """Whether a model's file has a chat template."""
    return has_template(model.metadata)


def takes_tools(model: Model, chat_format: str | None = None) -> bool:
    """Whether a model's chat template, or the one in its place, writes tools."""
    source = TemplateSource(model.metadata, model.path)
    try:
        template = source.find(chat_format, has_tools=True).template
    except LlamacyError:  # which the call itself raises
        return False
    return variables.takes_tools(template)
