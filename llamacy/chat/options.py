"""Options of a conversation's prompt: types alone, which take no time to import."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

from llamacy.chat.constrained.choice import ToolChoice
from llamacy.chat.overflow import Overflow

Tools: TypeAlias = "Sequence[Callable[..., Any] | Mapping[str, Any]]"
"""Functions, or JSON schemas of functions in OpenAI's shape."""


class PromptOptions(TypedDict, total=False):
    """How to write a conversation as a prompt.

    Attributes
    ----------
    chat_format : str or None
        Name of a built-in format or of a template in the model's file, or a template;
        None uses the model's own, which may be another with `tools`.
    overflow : {"error", "truncate", "shift"}
        How to handle a conversation too long for the context: raise; leave out the
        oldest turns, then the oldest calls of the last; or do so again whenever the
        answer fills the context.
    tools : sequence or None
        Functions that the model may call, or their JSON schemas.
    template_arguments : mapping or None
        Further variables for the template, such as `enable_thinking`. With
        `continue_final_message` False, an assistant's last message is not continued.
    reasoning_effort : str or None
        How long to reason, such as ``"low"``, in the words of the template.
    merge_system : bool
        Whether system messages further down are moved into the first one.
    tool_choice : str or dict or None
        ``"auto"`` lets the model decide, ``"required"`` makes it call a tool, a tool's
        name that one, and ``"none"`` leaves the tools out.
    strict_tools : bool
        Whether the arguments of all calls are valid by the tools' schemas.
    """

    chat_format: str | None
    overflow: Overflow
    tools: Tools | None
    template_arguments: Mapping[str, Any] | None
    reasoning_effort: str | None
    merge_system: bool
    tool_choice: ToolChoice
    strict_tools: bool
