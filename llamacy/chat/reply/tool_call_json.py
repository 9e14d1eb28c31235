"""Parsing tool calls that models write as JSON.

A model's output is untrusted: text that is not a call raises ValueError, and every call
returned is valid in a message that is sent back.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from llamacy.arguments import short
from llamacy.chat.messages import MAX_DEPTH
from llamacy.chat.reply.parts import Call

_NAME = re.compile(r"[^\s<>{}()\[\]\"]+")
_ID = re.compile(r"[\w-]+")
# the part before the arguments of `weather[CALL_ID]k3f9a2000[ARGS]{"city": "Paris"}`
_NAMED = re.compile(  # possessive: a long run of spaces must not backtrack
    rf"\s*+({_NAME.pattern})\s*+(?:\[CALL_ID\]\s*+({_ID.pattern})\s*+)?"
    r"(?:\[ARGS\]\s*+)?(?=\{)"
)
_BUILT_IN = re.compile(rf"\s*({_NAME.pattern})\.call\((.*)\)\s*", re.S)
_KEYWORD = re.compile(r"\s*(\w+)\s*=\s*")
_AROUND_ARGUMENTS = 4  # levels of lists and dicts around arguments in a message


def one_object(text: str) -> list[Call]:
    """Parse `{"name": ..., "arguments": {...}}`, as Hermes and Qwen write it."""
    return [_call(json_value(text))]


def objects(text: str) -> list[Call]:
    """Parse consecutive objects, as Llama 3 writes them.

    They have `parameters` in place of `arguments`, and may be separated by semicolons.
    Also accepts a call of a built-in tool: `brave_search.call(query="...")`.
    """
    if built_in := _BUILT_IN.fullmatch(text):
        return [Call(built_in[1], checked_arguments(_keywords(built_in[2])))]
    calls: list[Call] = []
    left = text.strip()
    while left or not calls:
        value, left = _first_json_value(left)
        calls.append(_call(value))
        left = left.lstrip().removeprefix(";").lstrip()
    return calls


def list_or_named(text: str) -> list[Call]:
    """Parse Mistral's two forms: a list of objects, or a name and its arguments."""
    if named := _NAMED.match(text):
        return [Call(named[1], arguments_of(text[named.end() :]), named[2])]
    value = json_value(text)
    if not isinstance(value, list) or not value:
        raise ValueError(f"wanted a list of calls, found {short(value)}")
    return [_call(item) for item in value]


def arguments_of(text: str) -> dict[str, Any]:
    """Parse the arguments of a call.

    Raises
    ------
    ValueError
        The text is not a JSON object, or not one that a message can hold.
    """
    return checked_arguments(json_value(text))


def _call(value: object) -> Call:
    if not isinstance(value, dict):
        raise ValueError(f"wanted a call as an object, found {short(value)}")
    # Llama 3.2 sometimes says "function"
    name = value.get("name", value.get("function"))
    name = checked_name(name)
    arguments = value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        arguments = json_value(arguments)
    call_id = value.get("id")
    has_id = isinstance(call_id, str) and _ID.fullmatch(call_id)
    return Call(
        name,
        checked_arguments({} if arguments is None else arguments),
        str(call_id) if has_id else None,
    )


def checked_name(name: object) -> str:
    """Return `name`, if it can be the name of a tool.

    Raises
    ------
    ValueError
        `name` is not a string, is empty, or contains spaces, quotes or brackets.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"wanted the name of a tool, found {short(name)}")
    return name


def checked_arguments(arguments: object) -> dict[str, Any]:
    """Return `arguments`, if a message can hold them.

    Raises
    ------
    ValueError
        `arguments` is not a dict, is nested too deeply, or holds text or numbers that
        cannot be written as JSON again.
    """
    if not isinstance(arguments, dict):
        raise ValueError(f"wanted arguments as an object, found {short(arguments)}")
    if _depth(arguments) > MAX_DEPTH - _AROUND_ARGUMENTS:
        raise ValueError("its arguments are nested too deeply")
    try:
        # Python's parser accepts lone surrogates, and reads 1e999 as infinity
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("its arguments contain a lone surrogate") from None
    return arguments


def _depth(value: object) -> int:
    """Count nested levels of lists and dicts: 0 for a string or a number."""
    depth, level = 0, [value]
    while containers := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [
            item
            for container in containers
            for item in (
                container.values() if isinstance(container, dict) else container
            )
        ]
    return depth


def _keywords(text: str) -> dict[str, Any]:
    """Parse `a=1, b="two"`, whose values are JSON."""
    found: dict[str, Any] = {}
    left = text.strip()
    while left:
        name = _KEYWORD.match(left)
        if name is None:
            raise ValueError(f"wanted arguments by name, found {short(left)}")
        found[name[1]], left = _first_json_value(left[name.end() :])
        left = left.lstrip().removeprefix(",").lstrip()
    return found


def json_value(text: str) -> Any:
    """Parse JSON.

    Raises
    ------
    ValueError
        The text is not JSON, or continues after it.
    """
    value, left = _first_json_value(text)
    if left.strip():
        raise ValueError(f"wanted nothing after the JSON, found {short(left)}")
    return value


def _first_json_value(text: str) -> tuple[Any, str]:
    """Parse the JSON at the beginning of a text; return it and the remaining text."""
    stripped = text.lstrip()
    try:
        value, end = _DECODER.raw_decode(stripped)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"wanted JSON: {error}") from None
    return value, stripped[end:]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"no such constant as {constant}")


# Not strict: models write line breaks inside strings.
_DECODER = json.JSONDecoder(parse_constant=_refuse, strict=False)
