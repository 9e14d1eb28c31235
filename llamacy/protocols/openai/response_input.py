"""Items of OpenAI's response API as the messages of a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields
from llamacy.protocols.openai.response_tools import joined_name

Message = dict[str, Any]

_ROLES = ("user", "assistant", "system", "developer")


def written_input(given: object) -> list[Message]:
    """Return the input of a request as messages.

    Parameters
    ----------
    given : str or list
        A text that the user says, or items: messages, reasoning, function calls and
        their outputs. Items of one answer become one message of the assistant.

    Raises
    ------
    ArgumentError
        An invalid item; the error names its index.
    """
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list):
        raise ArgumentError(
            f"input: wanted a text or a list of items, found {short(given)}"
        )
    written: list[Message] = []
    for index, item in enumerate(given):
        _add(f"input[{index}]", item, written)
    return written


def with_instructions(
    instructions: str | None, messages: list[Message]
) -> list[Message]:
    """Return a conversation that begins with instructions, in the system's message."""
    if instructions is None:
        return messages
    first = messages[0] if messages else {}
    said = first.get("content")
    if first.get("role") in ("system", "developer") and isinstance(said, str):
        joined = {**first, "content": f"{instructions}\n\n{said}"}
        return [joined, *messages[1:]]
    return [{"role": "system", "content": instructions}, *messages]


def _add(name: str, item: Any, written: list[Message]) -> None:
    """Add an item to the messages."""
    match item:
        case {"type": "function_call", "call_id": str(id), "name": str(called)}:
            full = joined_name(_namespace(name, item), called)
            function = {"name": full, "arguments": item.get("arguments", "")}
            calls = _answer(written).setdefault("tool_calls", [])
            calls.append({"id": id, "type": "function", "function": function})
        case {"type": "function_call_output", "call_id": str(id), "output": output}:
            written.append({"role": "tool", "tool_call_id": id, "content": output})
        case {"type": "reasoning"}:
            _answer(written)["reasoning_content"] = _reasoning(name, item)
        case {"role": str(role), "content": content} if (
            role in _ROLES and item.get("type", "message") == "message"
        ):
            if role == "assistant" and _is_open(written):
                written[-1]["content"] = content
            else:
                written.append({"role": role, "content": content})
        case _:
            raise ArgumentError(
                f"{name}: wanted a message, reasoning, a function call or its output, "
                f"found {short(item)}"
            )


def _namespace(name: str, item: Mapping[str, Any]) -> str | None:
    """Return the namespace of the function that a call is of."""
    return Fields(item, name).text("namespace")


def _is_open(written: list[Message]) -> bool:
    """Whether the last message is an answer that has no text yet."""
    return bool(written) and written[-1].get("content", "") is None


def _answer(written: list[Message]) -> Message:
    """Return the answer that an item belongs to, which may begin with it."""
    if not written or written[-1]["role"] != "assistant":
        written.append({"role": "assistant", "content": None})
    return written[-1]


def _reasoning(name: str, item: Mapping[Any, Any]) -> str | None:
    """Return the text of a reasoning item; None if it is encrypted by others."""
    parts = item.get("content") or item.get("summary") or []
    are_parts = isinstance(parts, list) and all(isinstance(one, dict) for one in parts)
    texts: list[Any] = [part.get("text") for part in parts] if are_parts else [None]
    if not all(isinstance(text, str) for text in texts):
        raise ArgumentError(
            f"{name}.content: wanted parts with a text, found {short(parts)}"
        )
    return "\n".join(texts) or None
