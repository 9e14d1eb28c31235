"""System messages where a template does not take them: merged, or refused by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llamacy.chat.contents import joined
from llamacy.errors import ChatTemplateError

_ROLES = ("system", "developer")
_MAX_TRIES = 16  # last messages of a beginning

Write = Callable[[list[dict[str, Any]]], object]
"""Writes messages as a prompt, or raises ChatTemplateError."""


def merged(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages whose system messages are one, at the beginning.

    Parameters
    ----------
    messages : list of dict
        Checked messages. The texts of those that are the system's or the developer's
        are joined, with empty lines between them.
    """
    system = [each for each in messages if each["role"] in _ROLES]
    if not system or (len(system) == 1 and messages[0] is system[0]):
        return messages
    others = [each for each in messages if each["role"] not in _ROLES]
    texts = [joined(each["content"]) for each in system]
    content = "\n\n".join(text for text in texts if text)
    return [{**system[0], "content": content}, *others]


def numbered(
    error: ChatTemplateError, messages: list[dict[str, Any]], write: Write
) -> ChatTemplateError:
    """Return a template's error with the number of the message that it refuses.

    It is the one without which the shortest beginning that fails alike is written. The
    error itself is returned if there is no such message.

    Parameters
    ----------
    error : ChatTemplateError
        The error of the whole conversation.
    messages : list of dict
        The conversation.
    write : callable
        Writes any messages as that conversation was written.
    """
    if type(error) is not ChatTemplateError or len(messages) < 2:
        return error
    reason = str(error)
    if _reason(messages, write) != reason:  # only a part of them was written
        return error
    works, fails = 0, len(messages)  # numbers of messages
    while fails - works > 1:
        middle = (works + fails) // 2
        if _reason(messages[:middle], write) == reason:
            fails = middle
        else:
            works = middle
    at = _refused(messages, fails, reason, write)
    if at is None:
        return error
    is_late = at > 0 and messages[at]["role"] in _ROLES
    hint = "; merge_system=True moves it into the first message" if is_late else ""
    return ChatTemplateError(f"messages[{at}]: {error}{hint}")


def _refused(
    messages: list[dict[str, Any]], n_failing: int, reason: str, write: Write
) -> int | None:
    """Return the index of the message without which a failing beginning is written."""
    if n_failing == 1:
        return 0 if _reason(messages[1:], write) != reason else None
    failing = messages[:n_failing]
    for at in reversed(range(max(n_failing - _MAX_TRIES, 0), n_failing)):
        if _reason([*failing[:at], *failing[at + 1 :]], write) is None:
            return at
    return None


def _reason(messages: list[dict[str, Any]], write: Write) -> str | None:
    """Return why messages cannot be written; None if they can."""
    try:
        write(messages)
    except ChatTemplateError as error:
        return str(error)
    return None
