"""Answers whose beginning the caller gives, as the assistant's last message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.arguments import short
from llamacy.errors import ArgumentError

_CONTINUE, _NEW = "continue_final_message", "add_generation_prompt"
_REASONING = ("reasoning_content", "thinking")


class Beginnings:
    """Decides whether a conversation ends with the beginning of the answer.

    It does where its last message is the assistant's and calls no tools, unless the
    template's arguments say otherwise.

    Parameters
    ----------
    arguments : mapping
        The caller's arguments for the template. transformers' `continue_final_message`
        among them, True or False, says it; so does an `add_generation_prompt`.

    Attributes
    ----------
    other_arguments : dict
        The arguments without `continue_final_message`, which templates do not know.

    Raises
    ------
    ArgumentError
        `continue_final_message` is no bool.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self.other_arguments = dict(arguments)
        wanted = self.other_arguments.pop(_CONTINUE, None)
        if wanted is not None and not isinstance(wanted, bool):
            raise ArgumentError(
                f"template_arguments[{_CONTINUE!r}]: wanted True or False, "
                f"found {short(wanted)}"
            )
        self._must = wanted is True
        self._may = wanted is not False and (self._must or _NEW not in arguments)

    def has(self, messages: list[dict[str, Any]]) -> bool:
        """Return whether the last message is the beginning of the answer.

        Raises
        ------
        ArgumentError
            `continue_final_message` is True, and it is not.
        """
        last = messages[-1]
        is_answer = last["role"] == "assistant" and not last.get("tool_calls")
        if self._must and not is_answer:
            raise ArgumentError(
                f"messages[-1]: wanted an answer without tool calls for {_CONTINUE}, "
                f"found the role {last['role']!r}"
            )
        return self._may and is_answer and not self._is_empty(messages)

    def without_empty(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return messages without a last one that begins the answer with nothing."""
        last = messages[-1]
        is_answer = last["role"] == "assistant" and not last.get("tool_calls")
        if self._may and is_answer and self._is_empty(messages):
            return messages[:-1]
        return messages

    @staticmethod
    def marked(message: dict[str, Any], mark: str) -> dict[str, Any]:
        """Return a message with a mark after its text, or else after its reasoning."""
        content = message["content"]
        if isinstance(content, list):  # of parts
            last = {**content[-1], "text": content[-1]["text"] + mark}
            return {**message, "content": [*content[:-1], last]}
        if content or not any(message.get(key) for key in _REASONING):
            return {**message, "content": content + mark}
        thought = {key: message[key] + mark for key in _REASONING if message.get(key)}
        return {**message, **thought}

    @staticmethod
    def _is_empty(messages: list[dict[str, Any]]) -> bool:
        last = messages[-1]
        has_text = last["content"] or any(last.get(key) for key in _REASONING)
        return not has_text and len(messages) > 1
