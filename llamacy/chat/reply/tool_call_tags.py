"""Parsing tool calls in tags, as Qwen 3 Coder and Qwen 3.5 write them.

::

    <function=weather>
    <parameter=city>
    Paris
    </parameter>
    </function>

All values are plain text: their types follow from the tool's schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.tool_call_json import (
    checked_arguments,
    checked_name,
    json_value,
)

TAGS: Final = ("<function=", "<parameter=")
"""Templates that contain these tell the model to write tool calls in tags."""

_FUNCTION: Final = re.compile(r"\s*+<function=([^>\n]*)>")
_PARAMETER: Final = re.compile(r"\s*+<parameter=([^>\n]*)>\n?")
# a value may itself contain tags: it ends only where another parameter or the end of
# the function follows
_VALUE_END: Final = re.compile(r"\n?</parameter>\s*+(?=<parameter=|</function>)")
_FUNCTION_END: Final = re.compile(r"\s*+</function>\s*+")

# JSON's constants, and Python's, which some templates write in past calls
_WORDS: Final = {"true": True, "false": False, "null": None, "none": None}

Types = Mapping[str, Mapping[str, frozenset[str]]]
"""JSON schema types allowed for a parameter, by tool and by parameter."""


def parameter_types(tools: Iterable[Mapping[str, Any]]) -> Types:
    """Collect the parameters' types from tool schemas in OpenAI's shape."""
    return {
        tool["function"]["name"]: _properties(tool["function"].get("parameters"))
        for tool in tools
    }


def tagged(text: str, types: Types) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, or other text stands before, between or after them.
    """
    calls: list[Call] = []
    at = 0
    while at < len(text) or not calls:
        function = _next(_FUNCTION, text, at)
        name, at = checked_name(function[1]), function.end()
        arguments: dict[str, Any] = {}
        while opening := _PARAMETER.match(text, at):
            end = _VALUE_END.search(text, opening.end())
            if end is None:
                found = short(text[opening.end() :])
                raise ValueError(f"wanted </parameter> at the end, found {found}")
            value = text[opening.end() : end.start()]
            wanted = types.get(name, {}).get(opening[1], frozenset[str]())
            arguments[opening[1]] = _value(value, wanted)
            at = end.end()
        at = _next(_FUNCTION_END, text, at).end()
        calls.append(Call(name, checked_arguments(arguments)))
    return calls


def _next(pattern: re.Pattern[str], text: str, at: int) -> re.Match[str]:
    match = pattern.match(text, at)
    if match is None:
        tag = "<function=...>" if pattern is _FUNCTION else "</function>"
        raise ValueError(f"wanted {tag}, found {short(text[at:])}")
    return match


def _value(text: str, types: frozenset[str]) -> Any:
    """Return the value converted to one of `types`; the text if that is impossible."""
    if not types - {"string"}:
        return text
    word = text.strip().lower()
    try:
        value = _WORDS[word] if word in _WORDS else json_value(text)
    except ValueError:
        return text
    return value if _types_of(value) & (types - {"string"}) else text


def _types_of(value: object) -> set[str]:
    match value:
        case bool():
            return {"boolean"}
        case int():
            return {"integer", "number"}
        case float():
            return {"integer", "number"} if value.is_integer() else {"number"}
        case list():
            return {"array"}
        case dict():
            return {"object"}
        case None:
            return {"null"}
    return {"string"}


def _properties(schema: object) -> dict[str, frozenset[str]]:
    match schema:
        case {"properties": dict(properties)}:
            return {name: frozenset(_types(each)) for name, each in properties.items()}
    return {}


def _types(schema: object) -> set[str]:
    """Return the names of all types that a schema allows."""
    if not isinstance(schema, Mapping):
        return set()
    named = schema.get("type")
    names = named if isinstance(named, list) else [named]
    types = {name for name in names if isinstance(name, str)}
    for key in ("anyOf", "oneOf"):
        branches = schema.get(key)
        for branch in branches if isinstance(branches, list) else []:
            types |= _types(branch)
    return types
