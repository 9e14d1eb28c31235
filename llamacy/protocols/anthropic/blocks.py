"""Blocks of content, in Anthropic's messages, as messages that chat templates know."""

from __future__ import annotations

from typing import Any, Final

from llamacy.arguments import short
from llamacy.errors import ArgumentError

Message = dict[str, Any]

_BILLING: Final = "x-anthropic-"


def written_system(system: object) -> list[Message]:
    """Return the system's message; no message if there is nothing to say.

    Blocks that agents put there for Anthropic's bills are left out: their contents
    differ from request to request, so that no prompt would begin like the one before
    and each would be read again as a whole.

    Parameters
    ----------
    system : str, list of dict, or None
        A text, or blocks of text.
    """
    if system is None or system == "":
        return []
    if isinstance(system, str):
        texts = [system]
    else:
        texts = _texts("system", system)
    texts = [text for text in texts if not text.startswith(_BILLING)]
    return [{"role": "system", "content": "\n\n".join(texts)}] if texts else []


def written_messages(messages: object) -> list[Message]:
    """Return messages with blocks as messages with tool calls and their results.

    Raises
    ------
    ArgumentError
        An invalid message or block; the error names its place.
    """
    if not isinstance(messages, list) or not messages:
        raise ArgumentError(
            f"messages: wanted a list of at least one message, found {short(messages)}"
        )
    written: list[Message] = []
    for index, message in enumerate(messages):
        written += _written(f"messages[{index}]", message)
    return written


def _written(name: str, message: Any) -> list[Message]:
    match message:
        case {"role": "user" | "assistant" | "system" as role, "content": str(text)}:
            return [{"role": role, "content": text}]
        case {"role": "user", "content": list(blocks)}:
            return _of_user(f"{name}.content", blocks)
        case {"role": "assistant", "content": list(blocks)}:
            return [_of_assistant(f"{name}.content", blocks)]
        case {"role": "system", "content": list(blocks)}:
            text = "\n\n".join(_texts(f"{name}.content", blocks))
            return [{"role": "system", "content": text}]
    raise ArgumentError(
        f"{name}: wanted a role, user or assistant, and a content, "
        f"found {short(message)}"
    )


def _of_user(name: str, blocks: list[Any]) -> list[Message]:
    """Return a user's blocks: first the results of tools, then the texts."""
    results: list[Message] = []
    texts: list[str] = []
    for index, block in enumerate(blocks):
        place = f"{name}[{index}]"
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "tool_result", "tool_use_id": str(id)}:
                said = block.get("content") or ""
                if not isinstance(said, str):
                    said = "\n".join(_texts(f"{place}.content", said))
                results.append({"role": "tool", "tool_call_id": id, "content": said})
            case _:
                raise _unknown(place, "text or tool_result", block)
    if not texts:
        return results or [{"role": "user", "content": ""}]
    return [*results, {"role": "user", "content": _parts(texts)}]


def _of_assistant(name: str, blocks: list[Any]) -> Message:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, Any]] = []
    for index, block in enumerate(blocks):
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "thinking", "thinking": str(thought)}:
                thoughts.append(thought)
            case {"type": "redacted_thinking"}:
                pass  # only Anthropic can read it
            case {"type": "tool_use", "id": str(id), "name": str(called)}:
                function = {"name": called, "arguments": block.get("input")}
                calls.append({"id": id, "type": "function", "function": function})
            case _:
                wanted = "text, thinking or tool_use"
                raise _unknown(f"{name}[{index}]", wanted, block)
    message: Message = {"role": "assistant", "content": _parts(texts)}
    if thoughts:
        message["reasoning_content"] = "\n".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return message


def _parts(texts: list[str]) -> str | list[dict[str, str]]:
    if len(texts) < 2:
        return "".join(texts)
    return [{"type": "text", "text": text} for text in texts]


def _texts(name: str, blocks: object) -> list[str]:
    """Return the texts of blocks that must all be text."""
    if not isinstance(blocks, list):
        raise ArgumentError(f"{name}: wanted a text or blocks, found {short(blocks)}")
    texts: list[str] = []
    for index, block in enumerate(blocks):
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case _:
                raise _unknown(f"{name}[{index}]", "text", block)
    return texts


def _unknown(name: str, wanted: str, block: object) -> ArgumentError:
    return ArgumentError(
        f"{name}: wanted a block of type {wanted}, found {short(block)}"
    )
