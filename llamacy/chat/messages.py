"""The messages of a conversation, as callers give them, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from llamacy.errors import ArgumentError

Messages: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""Messages as OpenAI's: dicts with `role` and `content`; or the user's only one."""

_MAX_DEPTH = 50  # of lists and dicts in each other


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
            f"messages: wanted a list of dicts, found {_short(messages)}"
        )
    if not messages:
        raise ArgumentError("messages: wanted at least one, found none")
    return [_checked(f"messages[{i}]", one) for i, one in enumerate(messages)]


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
    return _mapped(name, value, change, _MAX_DEPTH)


def _mapped(
    name: str, value: object, change: Callable[[str], str], depth: int
) -> object:
    if depth == 0:
        raise ArgumentError(
            f"{name}: wanted at most {_MAX_DEPTH} levels of lists and dicts"
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
        f"{name}: wanted text, numbers, lists and dicts, found {_short(value)}"
    )


def _checked(name: str, message: object) -> dict[str, Any]:
    if not isinstance(message, Mapping):
        raise ArgumentError(f"{name}: wanted a dict, found {_short(message)}")
    made = {
        key: value
        for key, value in mapped(name, message, lambda text: text).items()
        if value is not None
    }
    role = made.get("role")
    if not isinstance(role, str) or not role:
        raise ArgumentError(f"{name}['role']: wanted a text, found {_short(role)}")
    made |= _joined(made)
    content = made.get("content")
    # a message that only calls tools says nothing
    if not isinstance(content, str) and not (content is None and "tool_calls" in made):
        raise ArgumentError(
            f"{name}['content']: wanted a text, found {_short(content)}"
        )
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


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
