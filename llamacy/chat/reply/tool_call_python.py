"""Parsing tool calls written as Python's, as LFM2, Llama 3.2 and OLMo 3 do.

::

    [weather(city="Paris", days=2), time()]

OLMo 3 writes one call a line, without the brackets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from llamacy.chat.reply.literals import LiteralReader
from llamacy.chat.reply.parts import Call
from llamacy.chat.reply.tool_call_json import (
    checked_arguments,
    checked_name,
    json_calls,
    keywords,
)

_BUILT_IN: Final = re.compile(r"\s*+([^\s<>{}()\[\]\"]++)(?<=\.call)\(")

_PYTHON: Final = re.compile(r"\s*+\[?+\s*+[^\W\d][\w.]*+\s*+\(")


def built_in_calls(text: str) -> tuple[list[Call], str]:
    """Parse Llama 3's calls: a built-in tool's `brave_search.call(...)`, or others."""
    built_in = _BUILT_IN.match(text)
    if built_in is None:
        return python_calls(text)
    reader = LiteralReader(text, built_in.end())
    name = built_in[1].removesuffix(".call")
    return [Call(name, checked_arguments(keywords(reader)))], text[reader.at :]


def python_calls(text: str) -> tuple[list[Call], str]:
    """Parse the calls at the beginning of a text.

    Returns
    -------
    calls : list of Call
        At least one.
    left : str
        The text after them.

    Raises
    ------
    ValueError
        The text does not begin with a call, or an argument is not a plain value given
        by name.
    """
    if not _PYTHON.match(text):
        return json_calls(text)
    reader = LiteralReader(text)
    is_listed = reader.takes("[")
    calls: list[Call] = []
    end = 0
    while True:
        name = checked_name(reader.word())
        reader.wants("(")
        calls.append(Call(name, checked_arguments(keywords(reader))))
        end = reader.at
        has_more = reader.takes(",") or reader.takes(";") or not is_listed
        reader.skip_space()
        following = text[reader.at : reader.at + 1]
        if not has_more or not (following.isalpha() or following == "_"):
            break
        if not is_listed and not _is_call(text, reader.at):
            break
    if is_listed:
        reader.wants("]")
        end = reader.at
    return calls, text[end:]


def listed_python(calls: Sequence[Call]) -> str:
    """Write calls as `python_calls` reads them."""
    return f"[{', '.join(map(_written, calls))}]"


def _written(call: Call) -> str:
    given = (f"{name}={_literal(value)}" for name, value in call.arguments.items())
    return f"{call.name}({', '.join(given)})"


def _literal(value: object) -> str:
    """Write a value as Python does, but texts in double quotes, as in JSON."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case dict():
            pairs = (f"{_literal(key)}: {_literal(x)}" for key, x in value.items())
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(map(_literal, value))}]"
    return repr(value)


def _is_call(text: str, at: int) -> bool:
    """Whether a name and a bracket stand at a place."""
    reader = LiteralReader(text, at)
    return bool(reader.word()) and reader.takes("(")
