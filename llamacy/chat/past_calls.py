"""Checking the tool calls of past messages."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from llamacy.arguments import short
from llamacy.chat.reply.numbers import real, whole
from llamacy.chat.values import CallArguments
from llamacy.errors import ArgumentError


def checked_tool_calls(name: str, calls: object) -> list[dict[str, Any]]:
    """Return tool calls whose arguments are `CallArguments`.

    Parameters
    ----------
    name : str
        Place of the calls, for errors.
    calls : object
        Plain values: calls in OpenAI's shape, their arguments a dict, its JSON, or
        missing.

    Raises
    ------
    ArgumentError
        An invalid call; the error names its index.
    """
    if not isinstance(calls, list):
        raise ArgumentError(f"{name}: wanted a list, found {short(calls)}")
    return [_checked(f"{name}[{i}]", call) for i, call in enumerate(calls)]


def _checked(name: str, call: Any) -> dict[str, Any]:
    match call:
        case {"function": {"name": str(called)} as function} if called:
            arguments = _arguments(name, function.get("arguments"))
            function = {**function, "arguments": arguments}
            return {"type": "function", **call, "function": function}
    raise ArgumentError(
        f"{name}: wanted a dict with a function's name and arguments, "
        f"found {short(call)}"
    )


def _arguments(name: str, given: object) -> CallArguments:
    if isinstance(given, dict):
        try:
            text = json.dumps(given, ensure_ascii=False, allow_nan=False)
            return CallArguments(given, text)
        except ValueError as error:  # infinity, or an integer of thousands of digits
            raise ArgumentError(f"{name}: arguments: {error}") from None
    if given is None or given == "":
        return CallArguments({}, "{}")
    if not isinstance(given, str):
        raise ArgumentError(
            f"{name}: wanted arguments as a dict or as JSON, found {short(given)}"
        )
    try:
        values = _DECODER.decode(given)
    except (ValueError, RecursionError) as error:
        raise ArgumentError(f"{name}: wanted arguments as JSON: {error}") from None
    if values is None:
        return CallArguments({}, "{}")
    if not isinstance(values, dict):
        raise ArgumentError(
            f"{name}: wanted arguments as a JSON object, found {short(given)}"
        )
    return CallArguments(values, given)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"no such constant as {constant}")


_DECODER = json.JSONDecoder(parse_float=real, parse_int=whole, parse_constant=_refuse)
