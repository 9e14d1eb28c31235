"""Checking the messages of a conversation as the caller passes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from llamacy.arguments import short
from llamacy.errors import ArgumentError

Messages: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""Dicts with `role` and `content`, in OpenAI's shape; or one user message as text."""

MAX_DEPTH = 50
"""Deepest nesting of lists and dicts."""

# keys under which templates look for reasoning
_REASONING = ("reasoning_content", "thinking", "reasoning")


def checked_messages(messages: Messages) -> list[dict[str, Any]]:
    """Return the messages as dicts of plain values.

    Keys whose value is None are dropped: templates test whether a key is defined.

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


def without_past_reasoning(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages without the reasoning of finished turns.

    Reasoning after the user's last message stays, under the keys that templates look
    for: it led to tool calls, and the model is still working on that turn.
    """
    users = [i for i, message in enumerate(messages) if message["role"] == "user"]
    current_turn = users[-1] if users else 0
    return [
        _with_reasoning(message, _reasoning_of(message) if i >= current_turn else None)
        if message["role"] == "assistant"
        else message
        for i, message in enumerate(messages)
    ]


def texts_in(name: str, value: object) -> list[str]:
    """Return all strings in plain values; raises what `mapped` raises."""
    texts: list[str] = []

    def collect(text: str) -> str:
        texts.append(text)
        return text

    mapped(name, value, collect)
    return texts


def mapped(name: str, value: object, change: Callable[[str], str]) -> Any:
    """Return a copy of JSON-like values, with `change` applied to every string.

    Raises
    ------
    ArgumentError
        The argument `name` holds a value of another type, or is nested too deeply.
    """
    return _mapped(name, value, change, MAX_DEPTH)


def _mapped(
    name: str, value: object, change: Callable[[str], str], depth: int
) -> object:
    if depth == 0:
        raise ArgumentError(
            f"{name}: wanted at most {MAX_DEPTH} levels of lists and dicts"
        )
    if value is None or isinstance(value, bool):
        return value
    # Subclasses become plain values: a template must not reach their methods.
    if isinstance(value, str):
        return change(str.__str__(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {
            _mapped(f"{name} key", key, change, 1): _mapped(
                f"{name}[{key!r}]", item, change, depth - 1
            )
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            _mapped(f"{name}[{i}]", item, change, depth - 1)
            for i, item in enumerate(value)
        ]
    raise ArgumentError(
        f"{name}: wanted text, numbers, lists and dicts, found {short(value)}"
    )


def _checked(name: str, message: object) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise ArgumentError(f"{name}: wanted a dict, found {short(message)}")
    plain = {
        key: value
        for key, value in mapped(name, message, lambda text: text).items()
        if value is not None
    }
    role = plain.get("role")
    if not isinstance(role, str) or not role:
        raise ArgumentError(f"{name}['role']: wanted a string, found {short(role)}")
    plain |= _joined(plain)
    if "tool_calls" in plain:
        where = f"{name}['tool_calls']"
        plain["tool_calls"] = _checked_tool_calls(where, plain["tool_calls"])
    content = plain.get("content")
    # a message that only calls tools needs no content
    if not isinstance(content, str) and not (content is None and "tool_calls" in plain):
        raise ArgumentError(
            f"{name}['content']: wanted a string, found {short(content)}"
        )
    return plain


def _checked_tool_calls(name: str, calls: object) -> list[dict[str, Any]]:
    """Return tool calls whose arguments are dicts, parsing those given as JSON."""
    if not isinstance(calls, list):
        raise ArgumentError(f"{name}: wanted a list, found {short(calls)}")
    return [_checked_tool_call(f"{name}[{i}]", call) for i, call in enumerate(calls)]


def _checked_tool_call(name: str, call: Any) -> dict[str, Any]:
    match call:
        case {"function": {"name": str(), "arguments": {}} as function}:
            pass
        case {"function": {"name": str(), "arguments": str(text)} as function}:
            function = {**function, "arguments": _json_object(name, text)}
        case {"function": {"name": str()} as function}:
            function = {**function, "arguments": {}}
        case _:
            raise ArgumentError(
                f"{name}: wanted a dict with a function's name and arguments, "
                f"found {short(call)}"
            )
    return {"type": "function", **call, "function": function}


def _json_object(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"{name}: wanted arguments as JSON: {error}") from None
    if not isinstance(value, dict):
        raise ArgumentError(
            f"{name}: wanted arguments as a JSON object, found {short(text)}"
        )
    return value


def _reasoning_of(message: dict[str, Any]) -> str | None:
    found = [message[key] for key in _REASONING if message.get(key)]
    return found[0] if found and isinstance(found[0], str) else None


def _with_reasoning(message: dict[str, Any], reasoning: str | None) -> dict[str, Any]:
    changed = {key: value for key, value in message.items() if key not in _REASONING}
    if reasoning:
        changed["reasoning_content"] = reasoning
        # gpt-oss's template refuses a message with both "content" and "thinking"
        if not changed.get("content"):
            changed["thinking"] = reasoning
    return changed


def _joined(message: dict[str, Any]) -> dict[str, str]:
    """Return `content` joined to one string, if it is a list of text parts."""
    match message:
        case {"content": [*parts]} if all(map(_is_text, parts)):
            return {"content": "\n".join(part["text"] for part in parts)}
    return {}


def _is_text(part: object) -> bool:
    match part:
        case {"type": "text", "text": str()}:
            return True
    return False
