"""Fitting messages to what a template writes.

Templates differ in what they take: some have no system message, some take contents only
as text and others only in parts, and few know the role `developer`. A template says
none of this, so it is shown short conversations: what it writes of them tells. Each
template is asked once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from llamacy.chat.contents import joined
from llamacy.chat.template import TemplateStopped, render
from llamacy.errors import ChatTemplateError

_FIRST, _SECOND, _KEY = "quartz one", "quartz two", "quartz_key"
_DEVELOPER = re.compile(r"""['"]developer['"]""")

_SYSTEM = ("system", "developer")

_CALL = {
    "id": "abcdef123",
    "type": "function",
    "function": {"name": "f", "arguments": {}},
}

Content = str | list[dict[str, str]]


def fitted(template: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages in the form that a template takes.

    Parameters
    ----------
    template : str
        The template.
    messages : list of dict
        Checked messages; a content is a text or a list of texts.

    Returns
    -------
    list of dict
        Messages whose contents are texts, or parts in OpenAI's shape where the template
        goes through them. `developer` is `system` unless the template knows it. A
        system message that the template refuses or leaves out begins the user's first.
    """
    knows_developer = _DEVELOPER.search(template) is not None
    n_system = _n_first(messages, ("system",) if knows_developer else _SYSTEM)
    if not knows_developer:
        messages = [
            {**each, "role": "system"} if each["role"] == "developer" else each
            for each in _with_one_system(messages, n_system)
        ]
        n_system = _n_first(messages, ("system",))
    if n_system and not _has_system(template):
        messages = _begun_with(messages[:n_system], messages[n_system:])
    if "<|channel|>" in template:
        messages = [_without_thinking_aloud(each) for each in messages]
    return [
        {**each, "content": _content(template, each["role"], each["content"])}
        for each in messages
    ]


def _n_first(messages: list[dict[str, Any]], roles: tuple[str, ...]) -> int:
    """Return how many messages of these roles a conversation begins with."""
    others = (i for i, each in enumerate(messages) if each["role"] not in roles)
    return next(others, len(messages))


def _with_one_system(
    messages: list[dict[str, Any]], n_system: int
) -> list[dict[str, Any]]:
    """Return messages whose `system` and `developer` at the beginning are one."""
    first = messages[:n_system]
    if len({each["role"] for each in first}) < 2:
        return messages
    return [{**first[0], "content": _said(first)}, *messages[n_system:]]


def _said(system: list[dict[str, Any]]) -> str:
    """Return the texts of the system's messages as one."""
    texts = (joined(each["content"]) for each in system)
    return "\n\n".join(text for text in texts if text)


def parts(texts: list[str]) -> list[dict[str, str]]:
    """Return texts as the parts of a content."""
    return [{"type": "text", "text": text} for text in texts]


def _without_thinking_aloud(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message as gpt-oss wants it: not with calls, content and "thinking"."""
    if message.get("tool_calls") and message["content"]:
        return {key: value for key, value in message.items() if key != "thinking"}
    return message


def _begun_with(
    system: list[dict[str, Any]], turns: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return turns, the first of the user's begun with the system's texts."""
    at = next((i for i, each in enumerate(turns) if each["role"] == "user"), None)
    if at is None:
        return [*system, *turns]
    said = _said(system)
    if not said:
        return turns
    content = f"{said}\n\n{joined(turns[at]['content'])}"
    return [*turns[:at], {**turns[at], "content": content}, *turns[at + 1 :]]


def _content(template: str, role: str, content: str | list[str]) -> Content:
    if isinstance(content, list) and _writes_parts(template, role):
        return parts(content)
    text = joined(content)
    if not _writes_text(template, role) and _writes_parts(template, role):
        return parts([text])
    return text


@lru_cache(maxsize=64)
def _has_system(template: str) -> bool:
    """Whether a template that writes the user's messages writes the system's."""
    kinds = (_writes_text, _writes_parts)
    return not any(writes(template, "user") for writes in kinds) or any(
        writes(template, "system") for writes in kinds
    )


@lru_cache(maxsize=256)
def _writes_text(template: str, role: str) -> bool:
    """Whether a template writes the texts of a role's messages."""
    return _FIRST in _written(template, role, _FIRST)


@lru_cache(maxsize=256)
def _writes_parts(template: str, role: str) -> bool:
    """Whether a template writes the texts of a content's parts, and nothing else."""
    content = parts([_FIRST, _SECOND])
    text = _written(template, role, [{**part, _KEY: _KEY} for part in content])
    return _FIRST in text and _SECOND in text and _KEY not in text


def _written(template: str, role: str, content: Content) -> str:
    """Return what a template writes of a conversation with one such message."""
    if _is_stopped(template):
        return ""
    of: Callable[[str], Content] = str
    if role != "user" and not _writes_text(template, "user"):
        if not _writes_parts(template, "user"):
            return ""
        of = _as_parts
    question = {"role": "user", "content": of("a")}
    said: dict[str, Any] = {"role": role, "content": content}
    talks: dict[str, list[dict[str, Any]]] = {
        "user": [said],
        "assistant": [question, said, question],
        "tool": [
            question,
            {"role": "assistant", "content": of(""), "tool_calls": [_CALL]},
            {**said, "tool_call_id": _CALL["id"], "name": "f"},
        ],
    }
    talk = talks.get(role, [said, question])
    try:
        return rendered(template, talk)
    except ChatTemplateError:
        return ""


@lru_cache(maxsize=64)
def _is_stopped(template: str) -> bool:
    """Whether a template does too much, so that asking it more would take long."""
    try:
        rendered(template, [{"role": "user", "content": "a"}])
    except TemplateStopped:
        return True
    except ChatTemplateError:
        return False
    return False


def rendered(template: str, talk: list[dict[str, Any]]) -> str:
    """Return what a template writes of a conversation."""
    values = {"messages": talk, "add_generation_prompt": True}
    return render(template, "template", {**values, "bos_token": "", "eos_token": ""})


def _as_parts(text: str) -> Content:
    return parts([text])
