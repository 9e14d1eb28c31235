"""Parsing tool calls that models write as JSON.

A model's output is untrusted: text that is not a call raises ValueError, and every call
returned is valid in a message that is sent back. Models do not keep to one shape:
lists, fences, OpenAI's nesting, a brace too many, Python's quotes are read wherever
there is only one way to understand them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from llamacy.arguments import short
from llamacy.chat.reply.literals import LiteralReader
from llamacy.chat.reply.numbers import real, whole
from llamacy.chat.reply.parts import Call
from llamacy.chat.values import MAX_DEPTH

_NAME = re.compile(r"[^\s<>{}()\[\]\"]+")
_ID = re.compile(r"[\w-]+")
# the part before the arguments of `weather[CALL_ID]k3f9a2000[ARGS]{"city": "Paris"}`
_NAMED = re.compile(  # possessive: a long run of spaces must not backtrack
    rf"\s*+({_NAME.pattern}+)\s*+(?:\[CALL_ID\]\s*+({_ID.pattern}+)\s*+)?"
    r"(?:\[ARGS\]\s*+)?(?=\{)"
)
_FENCE = re.compile(r"\s*+```(?:json|python|tool_call)?+[ \t]*+\n?+")
_SPACE = re.compile(r"\s*+")
_BETWEEN = re.compile(r"[\s,;]*+")
_SURPLUS = re.compile(r"\s*+[}\]]++")
_CALL_KEYS: Final = frozenset(
    "name function tool_name type id tool_call_id index description".split()
)
_AROUND_ARGUMENTS = 4  # levels of lists and dicts around arguments in a message


def json_calls(text: str) -> tuple[list[Call], str]:
    """Parse the calls at the beginning of a text, objects or lists of objects.

    Returns
    -------
    calls : list of Call
        At least one.
    left : str
        The text after them.

    Raises
    ------
    ValueError
        The text does not begin with a call, or a call is malformed.
    """
    fence = _FENCE.match(text)
    at = fence.end() if fence else 0
    calls: list[Call] = []
    while True:
        value, at = first_value(text, at)
        for item in value if isinstance(value, list) and value else [value]:
            calls.append(_call(item))
        if surplus := _SURPLUS.match(text, at):
            at = surplus.end()
        between = _BETWEEN.match(text, at)
        assert between is not None
        if text[between.end() : between.end() + 1] not in ("{", "["):
            break
        at = between.end()
    left = text[at:]
    if fence and left.lstrip().startswith("```"):
        left = left.lstrip().removeprefix("```")
    return calls, left.lstrip(" \t").removeprefix(";")


def listed_json(calls: Sequence[Call]) -> str:
    """Write calls as a list of objects, such as `json_calls` reads."""
    values = [{"name": call.name, "arguments": call.arguments} for call in calls]
    return json.dumps(values, ensure_ascii=False)


def list_or_named(text: str) -> tuple[list[Call], str]:
    """Parse Mistral's two forms: a list of objects, or a name and its arguments."""
    named = _NAMED.match(text)
    if named is None:
        return json_calls(text)
    value, at = first_value(text, named.end())
    if surplus := _SURPLUS.match(text, at):
        at = surplus.end()
    return [Call(named[1], checked_arguments(value), named[2])], text[at:]


def keyed_calls(text: str) -> tuple[list[Call], str]:
    """Parse Apertus's form: a list of objects whose one key is the name."""
    value, at = first_value(text, 0)
    items = value if isinstance(value, list) and value else [value]
    calls = []
    for item in items:
        if not isinstance(item, dict) or len(item) != 1:
            calls.append(_call(item))
            continue
        ((name, arguments),) = item.items()
        calls.append(Call(checked_name(name), checked_arguments(arguments)))
    return calls, text[at:]


def arguments_of(text: str) -> dict[str, Any]:
    """Parse the arguments of a call.

    Raises
    ------
    ValueError
        The text is not a JSON object, or not one that a message can hold.
    """
    return checked_arguments(json_value(text))


def keywords(reader: LiteralReader) -> dict[str, Any]:
    """Parse `a=1, b="two")` up to behind the bracket.

    Raises
    ------
    ValueError
        The text is something else, or a name is given twice.
    """
    found: dict[str, Any] = {}
    for _ in reader.each_up_to(")"):
        name = reader.word()
        if not name or name in found:
            raise ValueError(f"wanted arguments by name, found {short(name)}")
        reader.wants("=")
        found[name] = reader.value()
    return found


def _call(value: object) -> Call:
    if not isinstance(value, dict):
        raise ValueError(f"wanted a call as an object, found {short(value)}")
    if isinstance(inner := value.get("function"), dict):  # OpenAI's nesting
        value = {**{key: value[key] for key in ("id",) if key in value}, **inner}
    # Llama 3.2 sometimes says "function", Cohere's models say "tool_name"
    names = [value[key] for key in ("name", "function", "tool_name") if key in value]
    name = checked_name(names[0] if names else None)
    given = [value[key] for key in ("arguments", "parameters") if key in value]
    arguments = given[0] if given else None
    if isinstance(arguments, str):
        arguments = json_value(arguments) if arguments.strip() else {}
    if not given and (others := value.keys() - _CALL_KEYS):
        raise ValueError(f"wanted arguments, found {short(sorted(others))}")
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
        # Python's parser accepts lone surrogates
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


def json_value(text: str) -> Any:
    """Parse JSON.

    Raises
    ------
    ValueError
        The text is not JSON, or continues after it.
    """
    value, end = _json_at(text, 0)
    if left := text[end:].strip():
        raise ValueError(f"wanted nothing after the JSON, found {short(left)}")
    return value


def first_value(text: str, at: int) -> tuple[Any, int]:
    """Parse the value at a place, JSON or Python's way of writing it.

    Returns
    -------
    value : object
        The value.
    end : int
        The place behind it.

    Raises
    ------
    ValueError
        It is neither; the error tells why it is not JSON.
    """
    try:
        return _json_at(text, at)
    except ValueError:
        reader = LiteralReader(text, at)
        try:
            return reader.value(), reader.at
        except ValueError:
            pass
        raise


def _json_at(text: str, at: int) -> tuple[Any, int]:
    space = _SPACE.match(text, at)
    start = space.end() if space else at
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"wanted JSON: {error}") from None
    return value, end


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"no such constant as {constant}")


# Not strict: models write line breaks inside strings.
_DECODER = json.JSONDecoder(
    parse_float=real, parse_int=whole, parse_constant=_refuse, strict=False
)
