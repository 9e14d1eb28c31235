"""The content of a message, in the shapes that APIs and their clients give it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llamacy.arguments import short
from llamacy.chat.values import NoText
from llamacy.errors import ArgumentError

# by the type of a part: the key of its text
_TEXT_KEYS = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
}

_JSON = (bool, int, float, dict, list, type(None))


def checked_content(name: str, message: Mapping[str, Any]) -> str | list[str]:
    """Return a message's content: a text, or the texts of its parts.

    A tool's result that is neither a text nor parts of one becomes JSON, as
    `ToolCall.result` writes it. The assistant's content may be missing; beside tool
    calls an empty one is `NoText`.

    Parameters
    ----------
    name : str
        Place of the message, for errors.
    message : mapping
        Plain values.

    Raises
    ------
    ArgumentError
        The content is neither a text nor a list of texts.
    """
    content = message.get("content")
    role = message["role"]
    if role == "assistant" and (content is None or content == "" or content == []):
        return NoText() if message.get("tool_calls") else ""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and (role != "tool" or any(map(_is_typed, content))):
        texts = [_text(name, part) for part in content]
        return texts if len(texts) > 1 else "".join(texts)
    if role == "tool" and "content" in message and isinstance(content, _JSON):
        try:
            return json.dumps(content, ensure_ascii=False)
        except ValueError as error:  # an integer of thousands of digits
            raise ArgumentError(f"{name}['content']: {error}") from None
    raise ArgumentError(f"{name}['content']: wanted a string, found {short(content)}")


def joined(content: str | list[str]) -> str:
    """Return a checked content as one text: its parts, each on lines of its own."""
    return content if isinstance(content, str) else "\n".join(content)


def _is_typed(part: object) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type"), str)


def _text(name: str, part: object) -> str:
    """Return the text of a part of a content."""
    text = part
    if isinstance(part, dict):
        text = part.get(_TEXT_KEYS.get(str(part.get("type")), ""))
    if not isinstance(text, str):
        raise ArgumentError(
            f"{name}['content']: wanted a string or parts of type text, "
            f"found {short(part)}"
        )
    return text
