"""Parsing tool calls as Kimi K3 writes them: tags of three tokens, each with a name.

::

    <|open|>call tool="weather" index="1"<|sep|>
    <|open|>argument key="city" type="string"<|sep|>Paris<|close|>argument<|sep|>
    <|close|>call<|sep|>

All arguments may be one object instead, in a tag `json`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from llamacy.arguments import short
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.schema_types import Types, ValueTypes
from llamacy.chat.reply.tool_call_json import (
    arguments_of,
    checked_arguments,
    checked_name,
    json_value,
)
from llamacy.chat.reply.tool_call_tags import typed_value

BEGIN, END = "<|open|>tools<|sep|>", "<|close|>tools<|sep|>"
TOKENS: Final = ("<|open|>", "<|close|>", "<|sep|>")

_ATTRIBUTES: Final = r'((?:\s++\w++="[^"]*+")*+)\s*+<\|sep\|>'
_CALL: Final = re.compile(rf"\s*+<\|open\|>call{_ATTRIBUTES}")
_VALUE: Final = re.compile(rf"\s*+<\|open\|>(argument|json){_ATTRIBUTES}")
_CALL_END: Final = re.compile(r"\s*+<\|close\|>call<\|sep\|>")
_SPACE_TO_END: Final = re.compile(r"\s*+\Z")
_ATTRIBUTE: Final = re.compile(r'(\w++)="([^"]*+)"')


def sectioned(text: str, types: Types) -> list[Call]:
    """Parse consecutive calls.

    Raises
    ------
    ValueError
        There are no calls, one is malformed, or other text stands before, between or
        after them.
    """
    calls: list[Call] = []
    at = 0
    while not calls or not _SPACE_TO_END.match(text, at):
        attributes, at = _opening(_CALL, text, at, '<|open|>call tool="')
        name = checked_name(attributes.get("tool"))
        arguments, at = _arguments(text, at, types.get(name, {}))
        end = _CALL_END.match(text, at)
        if end is None:
            left = short(text[at : at + 200])
            raise ValueError(f"wanted <|close|>call<|sep|>, found {left}")
        calls.append(Call(name, checked_arguments(arguments)))
        at = end.end()
    return calls


def _arguments(
    text: str, at: int, types: Mapping[str, ValueTypes]
) -> tuple[dict[str, Any], int]:
    """Parse the arguments from a place; return them, and the place behind them."""
    found: dict[str, Any] = {}
    while opening := _VALUE.match(text, at):
        kind, attributes = opening[1], _attributes(opening[2])
        closing = f"<|close|>{kind}<|sep|>"
        end = text.find(closing, opening.end())
        if end < 0:
            left = short(text[opening.end() :][:200])
            raise ValueError(f"wanted {closing}, found {left}")
        value = text[opening.end() : end]
        at = end + len(closing)
        if kind == "json":
            if found:
                raise ValueError(f"wanted an argument, found also {short(value)}")
            return arguments_of(value), at
        key = attributes.get("key", "").strip()
        if not key or key in found:
            raise ValueError(f"wanted another argument, found {short(key)}")
        given = attributes.get("type")
        found[key] = _typed(value, given, types.get(key, frozenset[str]()))
    return found, at


def _typed(text: str, given: str | None, types: frozenset[str]) -> Any:
    """Return a value of one of the types that its schema allows.

    Where that leaves a choice, the type that the model names decides.
    """
    if given == "string" and "string" in types:
        return text
    if types or given in (None, "string"):
        return typed_value(text, types)
    try:
        return json_value(text)
    except ValueError:
        return text


def _opening(
    pattern: re.Pattern[str], text: str, at: int, wanted: str
) -> tuple[dict[str, str], int]:
    found = pattern.match(text, at)
    if found is None:
        raise ValueError(f"wanted {wanted}, found {short(text[at : at + 200])}")
    return _attributes(found[1]), found.end()


def _attributes(text: str) -> dict[str, str]:
    return {
        name: value.replace("&quot;", '"').replace("&amp;", "&")
        for name, value in _ATTRIBUTE.findall(text)
    }
