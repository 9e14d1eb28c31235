"""Tools that a model may call: Python functions, or their JSON schemas.

::

    signatures     a function's parameters
    type_schemas   their type hints as JSON schemas
    docstrings     their descriptions

A function gets the schema that transformers would generate, because models were trained
on those: see https://huggingface.co/docs/transformers/chat_extras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llamacy.arguments import short
from llamacy.chat.tools.signatures import function_schema
from llamacy.chat.values import mapped
from llamacy.errors import ArgumentError

__all__ = ["checked_tools", "function_schema"]


def checked_tools(
    tools: Sequence[Callable[..., Any] | Mapping[str, Any]] | None,
) -> list[dict[str, Any]]:
    """Return the schemas of tools, in the shape that templates expect.

    Parameters
    ----------
    tools : sequence or None
        Functions; schemas in OpenAI's shape, `{"type": "function", "function": {...}}`;
        or just the inner dict.

    Raises
    ------
    ArgumentError
        A tool is invalid or cannot be described, or two have the same name.
    """
    if tools is None:
        return []
    if not isinstance(tools, Sequence) or isinstance(tools, str | bytes):
        raise ArgumentError(f"tools: wanted a list, found {short(tools)}")
    schemas = [_schema(f"tools[{i}]", tool) for i, tool in enumerate(tools)]
    names = [schema["function"]["name"] for schema in schemas]
    for name in names:
        if names.count(name) > 1:
            raise ArgumentError(f"tools: wanted different names, found {name!r} twice")
    return schemas


def _schema(name: str, tool: object) -> dict[str, Any]:
    if callable(tool):
        return function_schema(tool)
    if not isinstance(tool, Mapping):
        raise ArgumentError(
            f"{name}: wanted a function or a JSON schema, found {short(tool)}"
        )
    schema = mapped(name, tool, lambda text: text)
    if "function" not in schema:
        schema = {"type": "function", "function": schema}
    match schema:
        case {"type": "function", "function": {"name": str(found)}} if found:
            return dict(schema)
    raise ArgumentError(
        f"{name}: wanted the schema of a function, with its name, found {short(tool)}"
    )
