"""Turning type hints into JSON schemas."""

from __future__ import annotations

import enum
import types
from collections.abc import Sequence
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from llamacy.arguments import short
from llamacy.errors import ArgumentError

_PLAIN: dict[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    dict: {"type": "object"},
    Any: {},
}


def type_schema(name: str, hint: Any) -> dict[str, Any]:
    """Return the schema of a type hint.

    Parameters
    ----------
    name : str
        Name of the parameter in error messages.
    hint : type
        int, float, str, bool, None, Any, an Enum, or a Literal, list, tuple, dict or
        Union of these.

    Raises
    ------
    ArgumentError
        The hint is another type, which has no counterpart in JSON.

    Examples
    --------
    >>> type_schema("x", list[int])
    {'type': 'array', 'items': {'type': 'integer'}}
    >>> type_schema("x", str | None)
    {'type': 'string', 'nullable': True}
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is None:
        return _plain(name, hint)
    if origin in (Union, types.UnionType):
        return _union(name, parts)
    if origin is Literal:
        return _enumeration(name, parts)
    if origin is list:
        return {"type": "array", "items": type_schema(name, parts[0])}
    if origin is tuple and len(parts) > 1 and ... not in parts:
        items = [type_schema(name, part) for part in parts]
        return {"type": "array", "prefixItems": items}
    if origin is dict:
        values = type_schema(name, parts[1])
        return {"type": "object", "additionalProperties": values}
    _refuse(name, hint)


def _plain(name: str, hint: Any) -> dict[str, Any]:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _enumeration(name, [member.value for member in hint])
    try:
        return dict(_PLAIN[hint])
    except (KeyError, TypeError):  # unknown or unhashable
        _refuse(name, hint)


def _union(name: str, parts: Sequence[Any]) -> dict[str, Any]:
    schemas = [type_schema(name, part) for part in parts if part is not type(None)]
    if len(schemas) == 1:
        schema = schemas[0]
    elif all(
        each.keys() == {"type"} and isinstance(each["type"], str) for each in schemas
    ):
        schema = {"type": _one_or_list(sorted({each["type"] for each in schemas}))}
    else:
        schema = {"anyOf": schemas}
    return schema | ({"nullable": True} if type(None) in parts else {})


def _enumeration(name: str, values: Sequence[Any]) -> dict[str, Any]:
    kinds = []
    for value in values:
        if type(value) not in (int, float, str, bool, type(None)):
            raise ArgumentError(
                f"{name}: wanted values that JSON can express, found {short(value)}"
            )
        kinds.append(_PLAIN[type(value)]["type"])
    if not kinds:
        raise ArgumentError(f"{name}: wanted at least one value, found an empty Enum")
    return {"type": _one_or_list(list(dict.fromkeys(kinds))), "enum": list(values)}


def _one_or_list(kinds: list[str]) -> str | list[str]:
    return kinds[0] if len(kinds) == 1 else kinds


def _refuse(name: str, hint: Any) -> NoReturn:
    raise ArgumentError(
        f"{name}: wanted int, float, str, bool, None, an Enum, or a Literal, list, "
        f"tuple, dict or Union of these, found {short(hint)}; a JSON schema can be "
        "given instead of the function"
    )
