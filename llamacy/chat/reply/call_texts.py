"""How models write calls of tools, read: text in, calls out.

Nothing a model writes is to be trusted: what cannot be a call raises ValueError, and
what can be is fit to be given back in a message.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from llamacy.chat.messages import MAX_DEPTH, short
from llamacy.chat.reply.parts import Call

_NAME = re.compile(r"[^\s<>{}()\[\]\"]+")
_ID = re.compile(r"[\w-]+")
# `weather[CALL_ID]k3f9a2000[ARGS]{"city": "Paris"}`, without the last part
_NAMED = re.compile(  # spaces are possessive: a thousand of them are no million
    rf"\s*+({_NAME.pattern})\s*+(?:\[CALL_ID\]\s*+({_ID.pattern})\s*+)?"
    r"(?:\[ARGS\]\s*+)?(?=\{)"
)
_BUILT_IN = re.compile(rf"\s*({_NAME.pattern})\.call\((.*)\)\s*", re.S)
_KEYWORD = re.compile(r"\s*(\w+)\s*=\s*")
_AROUND_ARGUMENTS = 4  # lists and dicts, in a message


def one_object(text: str) -> list[Call]:
    """Read ``{"name": ..., "arguments": {...}}``, as Hermes and Qwen write it."""
    return [_call(json_value(text))]


def objects(text: str) -> list[Call]:
    """Read objects one after the other, as Llama 3 writes them.

    With ``parameters`` instead of ``arguments``; semicolons may stand between. Or a
    call of one of its built-in tools: ``brave_search.call(query="...")``.
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
    """Read a list of objects, or a name and its arguments: Mistral's two ways."""
    if named := _NAMED.match(text):
        return [Call(named[1], arguments_of(text[named.end() :]), named[2])]
    value = json_value(text)
    if not isinstance(value, list) or not value:
        raise ValueError(f"wanted a list of calls, found {short(value)}")
    return [_call(one) for one in value]


def arguments_of(text: str) -> dict[str, Any]:
    """Read the arguments of a call.

    Raises
    ------
    ValueError : they are no JSON object, or one that no message could hold.
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
    """Return what can be the name of a tool.

    Raises
    ------
    ValueError : it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"wanted the name of a tool, found {short(name)}")
    return name


def checked_arguments(arguments: object) -> dict[str, Any]:
    """Return arguments that a message can hold.

    Raises
    ------
    ValueError : these are no dict, or one that no message could hold.
    """
    if not isinstance(arguments, dict):
        raise ValueError(f"wanted arguments as an object, found {short(arguments)}")
    if _depth(arguments) > MAX_DEPTH - _AROUND_ARGUMENTS:
        raise ValueError("its arguments are too deep")
    try:
        # JSON lets halves of characters and numbers like 1e999 through
        json.dumps(arguments, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("its arguments have half of a surrogate pair") from None
    return arguments


def _depth(value: object) -> int:
    """How many levels of lists and dicts a value has; none for a text or a number."""
    depth, level = 0, [value]
    while inside := [one for one in level if isinstance(one, dict | list)]:
        depth += 1
        level = [
            item
            for one in inside
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _keywords(text: str) -> dict[str, Any]:
    """Read ``a=1, b="two"``, the values as JSON."""
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
    """Read JSON.

    Raises
    ------
    ValueError : it is none, or something follows.
    """
    value, left = _first_json_value(text)
    if left.strip():
        raise ValueError(f"wanted nothing after the JSON, found {short(left)}")
    return value


def _first_json_value(text: str) -> tuple[Any, str]:
    """Read the JSON that a text begins with; return it and what follows."""
    begun = text.lstrip()
    try:
        value, end = _DECODER.raw_decode(begun)
    except RecursionError:
        raise ValueError("its JSON is too deep") from None
    except ValueError as error:
        raise ValueError(f"wanted JSON: {error}") from None
    return value, begun[end:]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"no such constant as {constant}")


# Not strict: models break lines within their strings.
_DECODER = json.JSONDecoder(parse_constant=_refuse, strict=False)
