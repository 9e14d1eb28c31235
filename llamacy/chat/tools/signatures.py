"""Describing a Python function as a JSON schema."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from inspect import Parameter
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from llamacy.arguments import short
from llamacy.chat.tools.docstrings import parse_docstring
from llamacy.chat.tools.type_schemas import type_schema
from llamacy.errors import ArgumentError

_CHOICES = re.compile(r"\(choices:\s*(\[.*\])\)\s*$", re.I | re.S)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def function_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """Describe a function to a model.

    Parameters
    ----------
    function : callable
        A function with a docstring, and a type hint for each parameter. Parameters are
        described by the docstring, in Google's or NumPy's style, or by
        `Annotated[int, "how many"]`.

    Returns
    -------
    dict
        A schema in OpenAI's shape: `{"type": "function", "function": {"name": ...,
        "description": ..., "parameters": ...}}`.

    Raises
    ------
    ArgumentError
        A docstring or a type hint is missing, or a parameter cannot be described.

    Examples
    --------
    >>> def add(a: int, b: int = 1) -> int:
    ...     "Add two numbers."
    ...     return a + b
    >>> function_schema(add)["function"]["parameters"]["required"]
    ['a']
    """
    name = getattr(function, "__name__", None)
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentError(
            f"tools: wanted a function with a name, found {short(function)}"
        )
    where = f"tools: {name}"
    docstring = parse_docstring(inspect.getdoc(function) or "")
    if not docstring.summary:
        raise ArgumentError(f"{where}: wanted a docstring, found none")
    hints = _hints(where, function)
    properties: dict[str, Any] = {}
    required = []
    for parameter in _parameters(where, function):
        at = f"{where}: {parameter.name}"
        if parameter.name not in hints:
            raise ArgumentError(f"{at}: wanted a type hint, found none")
        hint, annotation = _without_annotation(hints[parameter.name])
        text = annotation or docstring.parameters.get(parameter.name, "")
        properties[parameter.name] = type_schema(at, hint) | _description(text)
        if parameter.default is Parameter.empty:
            required.append(parameter.name)
    parameters: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        parameters["required"] = required
    described = {
        "name": name,
        "description": docstring.summary,
        "parameters": parameters,
        **_returned(hints, docstring.returned),
    }
    return {"type": "function", "function": described}


def _hints(where: str, function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception as error:  # a hint in quotes may be any expression
        raise ArgumentError(
            f"{where}: wanted type hints that can be evaluated: {error}"
        ) from None


def _parameters(where: str, function: Callable[..., Any]) -> list[Parameter]:
    """Return the parameters that a model passes, without `self`."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:  # some functions written in C
        raise ArgumentError(f"{where}: wanted a signature: {error}") from None
    for parameter in parameters:
        if parameter.kind not in _BY_NAME:
            raise ArgumentError(
                f"{where}: wanted parameters that can be passed by name, "
                f"found {parameter}"
            )
    first = parameters[0] if parameters else None
    if first and first.name in ("self", "cls") and first.annotation is Parameter.empty:
        return parameters[1:]
    return parameters


def _without_annotation(hint: Any) -> tuple[Any, str]:
    """Split `Annotated[int, "how many"]` into the type and the description."""
    if get_origin(hint) is not Annotated:
        return hint, ""
    plain, *notes = get_args(hint)
    return plain, next((note for note in notes if isinstance(note, str)), "")


def _description(text: str) -> dict[str, Any]:
    """Return a text as `description`, and choices at its end as `enum`."""
    if not text:
        return {}
    if found := _CHOICES.search(text):
        try:
            choices = json.loads(found[1])
        except ValueError:
            return {"description": text}
        return {"enum": choices, "description": text[: found.start()].strip()}
    return {"description": text}


def _returned(hints: dict[str, Any], text: str) -> dict[str, Any]:
    """Describe the return value if its type allows; few templates use it."""
    if "return" not in hints:
        return {}
    try:
        schema = type_schema("return", _without_annotation(hints["return"])[0])
    except ArgumentError:
        return {}
    return {"return": schema | ({"description": text} if text else {})}
