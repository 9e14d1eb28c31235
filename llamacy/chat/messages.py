"""The messages of a conversation, as callers give them, checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from llamacy.errors import ArgumentError

Messages: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""Messages as OpenAI's: dicts with `role` and `content`; or the user's only one."""

MAX_DEPTH = 50
"""Most levels of lists and dicts in each other."""

# names that templates know reasoning by
_REASONING = ("reasoning_content", "thinking", "reasoning")


def checked_messages(messages: Messages) -> list[dict[str, Any]]:
    """Return the messages as dicts of plain values.

    Keys whose value is None are left out, as templates expect it.

    Raises
    ------
    ArgumentError : one is not a message; it is named by its index.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, Sequence) or isinstance(messages, bytes):
        raise ArgumentError(
            f"messages: wanted a list of dicts, found {short(messages)}"
        )
    if not messages:
        raise ArgumentError("messages: wanted at least one, found none")
    return [_checked(f"messages[{i}]", one) for i, one in enumerate(messages)]


def without_past_reasoning(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the reasoning that led to answers before the user's last message.

    What led to calls of tools after it stays, under the names that templates know:
    the model is not at its end with that.
    """
    users = [i for i, message in enumerate(messages) if message["role"] == "user"]
    first_kept = users[-1] if users else 0
    return [
        _with_reasoning(message, _reasoning_of(message) if i >= first_kept else None)
        if message["role"] == "assistant"
        else message
        for i, message in enumerate(messages)
    ]


def texts_in(name: str, value: object) -> list[str]:
    """All strings in plain values; raises as `mapped` does."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    mapped(name, value, note)
    return found


def mapped(name: str, value: object, change: Callable[[str], str]) -> Any:
    """Copy plain values (as of JSON), with `change` made to every string.

    Raises
    ------
    ArgumentError : the argument `name` has something else in it, or is too deep.
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
    # Of a subclass only the plain value: a template must not reach its methods.
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
    made = {
        key: value
        for key, value in mapped(name, message, lambda text: text).items()
        if value is not None
    }
    role = made.get("role")
    if not isinstance(role, str) or not role:
        raise ArgumentError(f"{name}['role']: wanted a text, found {short(role)}")
    made |= _joined(made)
    if "tool_calls" in made:
        made["tool_calls"] = _checked_calls(f"{name}['tool_calls']", made["tool_calls"])
    content = made.get("content")
    # a message that only calls tools says nothing
    if not isinstance(content, str) and not (content is None and "tool_calls" in made):
        raise ArgumentError(f"{name}['content']: wanted a text, found {short(content)}")
    return made


def _checked_calls(name: str, calls: object) -> list[dict[str, Any]]:
    """Return calls with their arguments as dicts, where they come as JSON's text."""
    if not isinstance(calls, list):
        raise ArgumentError(f"{name}: wanted a list, found {short(calls)}")
    return [_checked_call(f"{name}[{i}]", call) for i, call in enumerate(calls)]


def _checked_call(name: str, call: Any) -> dict[str, Any]:
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
    made = {key: value for key, value in message.items() if key not in _REASONING}
    if reasoning:
        made["reasoning_content"] = reasoning
        # gpt-oss's template takes either of them
        if not made.get("content"):
            made["thinking"] = reasoning
    return made


def _joined(message: dict[str, Any]) -> dict[str, str]:
    """Return the content as one text, where it comes in parts that are texts."""
    match message:
        case {"content": [*parts]} if all(map(_is_text, parts)):
            return {"content": "\n".join(part["text"] for part in parts)}
    return {}


def _is_text(part: object) -> bool:
    match part:
        case {"type": "text", "text": str()}:
            return True
    return False


def short(value: object) -> str:
    """Return a value as an error's message shows it."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
