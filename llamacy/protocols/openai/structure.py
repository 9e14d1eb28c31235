"""Forms that answers must have: schemas, grammars, and tools that must be called."""

from __future__ import annotations

from typing import Any, Final

from llamacy.protocols.fields import Fields

_FORMS: Final = ("response_format", "json_schema", "regex", "grammar")


def structure_options(fields: Fields) -> dict[str, Any]:
    """Take the form of a text out of a request's fields.

    Beside OpenAI's `response_format` there are llamacy's own options, which
    llama-server has as well: `json_schema`, `grammar` and `regex`.
    """
    given = {name: fields.take(name) for name in _FORMS}
    # clients of llama-server leave out a grammar by an empty one
    return {name: value for name, value in given.items() if value not in (None, "")}


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
