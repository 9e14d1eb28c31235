"""Checking the messages of a conversation as the caller passes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from llamacy.arguments import short
from llamacy.chat.contents import checked_content
from llamacy.chat.past_calls import checked_tool_calls
from llamacy.chat.values import mapped
from llamacy.errors import ArgumentError

Messages: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""Dicts with `role` and `content`, in OpenAI's shape; or one user message as text."""

# keys under which templates look for reasoning
_REASONING = ("reasoning_content", "thinking", "reasoning")


def checked_messages(messages: Messages) -> list[dict[str, Any]]:
    """Return the messages as dicts of plain values.

    Keys whose value is None are dropped, and so is an empty list of tool calls:
    templates test whether a key is defined. Contents are texts, or lists of texts if
    they were given in parts.

    Raises
    ------
    ArgumentError
        An invalid message; the error names its index.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, Sequence) or isinstance(messages, bytes):
        raise ArgumentError(
            f"messages: wanted a list of dicts, found {short(messages)}"
        )
    if not messages:
        raise ArgumentError("messages: wanted at least one, found none")
    return [_checked(f"messages[{i}]", item) for i, item in enumerate(messages)]


def with_reasoning_keys(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages with their reasoning under the keys that templates look for.

    All of it, past turns' too: each template knows which reasoning its model was
    trained to see again.
    """
    return [
        _with_reasoning(message) if message["role"] == "assistant" else message
        for message in messages
    ]


def _checked(name: str, message: object) -> dict[str, Any]:
    if not isinstance(message, Mapping) and not hasattr(message, "model_dump"):
        raise ArgumentError(f"{name}: wanted a dict, found {short(message)}")
    whole = mapped(name, message, lambda text: text)
    if not isinstance(whole, dict):
        raise ArgumentError(f"{name}: wanted a dict, found {short(message)}")
    role = whole.get("role")
    if not isinstance(role, str) or not role:
        raise ArgumentError(f"{name}['role']: wanted a string, found {short(role)}")
    if whole.get("function_call") is not None:
        raise ArgumentError(f"{name}['function_call']: tool_calls takes its place")
    if whole.get("tool_calls") == []:
        del whole["tool_calls"]
    for key in _REASONING if role == "assistant" else ():
        if not isinstance(whole.get(key, ""), str | None):
            raise ArgumentError(
                f"{name}[{key!r}]: wanted a string, found {short(whole[key])}"
            )
    whole["content"] = checked_content(name, whole)
    plain = {key: value for key, value in whole.items() if value is not None}
    if "tool_calls" in plain:
        where = f"{name}['tool_calls']"
        plain["tool_calls"] = checked_tool_calls(where, plain["tool_calls"])
    return plain


def _with_reasoning(message: dict[str, Any]) -> dict[str, Any]:
    reasoning = next((message[key] for key in _REASONING if message.get(key)), None)
    changed = {key: value for key, value in message.items() if key not in _REASONING}
    if reasoning:
        changed |= {"reasoning_content": reasoning, "thinking": reasoning}
    return changed
