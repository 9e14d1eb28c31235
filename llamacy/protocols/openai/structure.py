"""Forms that answers must have: schemas, grammars, and tools that must be called."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from typing import Any, Final

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields

MAX_TOOLS: Final = 512
"""Most tools of a request; agents with many servers of tools have some two hundred."""

_FORMS: Final = ("response_format", "json_schema", "regex", "grammar")


def structure_options(fields: Fields) -> dict[str, Any]:
    """Take the form of a text out of a request's fields.

    Beside OpenAI's `response_format` there are llamacy's own options, which
    llama-server has as well: `json_schema`, `grammar` and `regex`.
    """
    given = {name: fields.take(name) for name in _FORMS}
    # clients of llama-server leave out a grammar by an empty one
    return {name: value for name, value in given.items() if value not in (None, "")}


def taken_tools(fields: Fields) -> list[Any]:
    """Take the tools out of a request's fields, unchecked.

    Raises
    ------
    ArgumentError
        They are no list, or too many.
    """
    tools = fields.items("tools")
    check_number(fields.path("tools"), tools)
    return tools


def check_number(name: str, tools: Sized) -> None:
    """Check that tools are not too many: a schema takes about a millisecond.

    Raises
    ------
    ArgumentError
        They are; the error calls them `name`.
    """
    if len(tools) > MAX_TOOLS:
        raise ArgumentError(
            f"{name}: wanted at most {MAX_TOOLS} tools, found {len(tools)}"
        )


def template_options(fields: Fields) -> dict[str, Any]:
    """Take the variables of the chat template, as an option of `Model.chat`."""
    variables = fields.take("chat_template_kwargs")
    if variables is None:
        return {}
    if not isinstance(variables, Mapping):
        raise ArgumentError(
            f"chat_template_kwargs: wanted an object, found {short(variables)}"
        )
    return {"template_arguments": variables}


def tool_options(fields: Fields, tools: list[Any]) -> dict[str, Any]:
    """Take the choice of tools; return it, and the tools, as options of `Model.chat`.

    Arguments are sure to be valid where all tools are strict.
    """
    choice = fields.take("tool_choice")
    options: dict[str, Any] = {}
    if tools:
        options["tools"] = tools
        if all(_is_strict(tool) for tool in tools):
            options["strict_tools"] = True
    if choice not in (None, "auto") and (tools or choice != "none"):
        options["tool_choice"] = choice
    return options


def _is_strict(tool: Any) -> bool:
    match tool:
        case {"function": {"strict": True}}:
            return True
    return False
