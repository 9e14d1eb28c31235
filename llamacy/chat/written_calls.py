"""Past tool calls as text, for templates that leave them out.

The templates of LFM2, Granite 3 and Phi-4-mini write of an assistant's message its
content alone. A model that sees a tool's result without the call before it cannot tell
where that comes from. So the calls are added to the content, as the model wrote them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from llamacy.chat.habits import parts, rendered
from llamacy.chat.reply.known_styles import tool_call_style
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.tool_call_marks import ToolCallStyle
from llamacy.errors import ChatTemplateError

_NAME = "quartz_call"


def with_written_calls(
    template: str, messages: list[dict[str, Any]], is_token: Callable[[str], bool]
) -> list[dict[str, Any]]:
    """Return messages whose calls the template will write.

    Parameters
    ----------
    template : str
        The template.
    messages : list of dict
        Checked messages. Where the template leaves out calls, and it is known how the
        model writes them, they come to stand at the end of the contents.
    is_token : callable
        Says whether a mark is a control token of the vocabulary.
    """
    if not any(each.get("tool_calls") for each in messages):
        return messages
    style = tool_call_style(template, {}, is_token)
    if style is None or style.write is None or _writes_calls(template):
        return messages
    return [_written(each, style) for each in messages]


def _written(message: dict[str, Any], style: ToolCallStyle) -> dict[str, Any]:
    calls = message.get("tool_calls")
    if not calls or style.write is None:
        return message
    functions = [call["function"] for call in calls]
    written = style.write([Call(each["name"], each["arguments"]) for each in functions])
    text = f"{style.open}{written}{style.close or ''}"
    content = message["content"]
    if isinstance(content, list):
        return {**message, "content": [*content, *parts([text])]}
    return {**message, "content": f"{content}{text}"}


@lru_cache(maxsize=64)
def _writes_calls(template: str) -> bool:
    """Whether a template writes the calls of past messages, or refuses them."""
    function = {"name": _NAME, "arguments": {}}
    call = {"id": "abcdef123", "type": "function", "function": function}
    talk: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
    ]
    try:
        return _NAME in rendered(template, talk)
    except ChatTemplateError:
        return True
