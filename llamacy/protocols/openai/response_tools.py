"""Tools of OpenAI's response API, whose functions may be grouped in namespaces.

Models know no namespaces: they call a function of one by both names joined, as in
``crm__find``, and its items have the two apart again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.protocols.fields import Fields

Namespaces: TypeAlias = dict[str, tuple[str, str]]
"""Namespace and name of each function in one, by the name that a model calls it by."""

_BETWEEN: Final = "__"
_KEYS: Final = ("name", "description", "parameters", "strict")


def joined_name(namespace: str | None, name: str) -> str:
    """Return the name that a model calls a function by.

    Examples
    --------
    >>> joined_name("crm", "find"), joined_name("mcp__crm__", "find")
    ('crm__find', 'mcp__crm__find')
    >>> joined_name(None, "find")
    'find'
    """
    if not namespace:
        return name
    return f"{namespace.removesuffix(_BETWEEN)}{_BETWEEN}{name}"


def read_tools(items: Iterable[object]) -> tuple[list[dict[str, Any]], Namespaces]:
    """Return tools in the shape of the chat completion API, and their namespaces.

    A namespace's description stands before that of its first function.

    Parameters
    ----------
    items : iterable of object
        Functions, and namespaces of functions.

    Raises
    ------
    ArgumentError
        A tool of another kind.
    """
    tools: list[dict[str, Any]] = []
    namespaces: Namespaces = {}
    for index, item in enumerate(items):
        place = f"tools[{index}]"
        if isinstance(item, Mapping) and item.get("type") == "namespace":
            tools += _within(place, item, namespaces)
        else:
            tools.append(_tool(place, item))
    return tools, namespaces


def chosen(
    choice: Any, tools: Iterable[Mapping[str, Any]], namespaces: Namespaces
) -> Any:
    """Return a choice of a tool, by the name that the model calls it by.

    Parameters
    ----------
    choice : object
        The field `tool_choice`. A function in a namespace may be named alone if no
        other is called so.
    tools : iterable of mapping
        The tools that `read_tools` returned.
    namespaces : dict
        The namespaces of functions.
    """
    match choice:
        case {"name": str(name), "namespace": str(namespace)}:
            return joined_name(namespace, name)
        case {"name": str(name)}:
            alike = [key for key, (_, own) in namespaces.items() if own == name]
            is_taken = any(tool["function"].get("name") == name for tool in tools)
            return alike[0] if len(alike) == 1 and not is_taken else choice
    return choice


def _within(
    place: str, item: Mapping[str, Any], namespaces: Namespaces
) -> Iterable[dict[str, Any]]:
    """Yield the functions of a namespace, and note it."""
    fields = Fields(item, place)
    namespace, description = fields.text("name"), fields.text("description")
    if not namespace:
        raise ArgumentError(f"{place}.name: wanted a name, found {short(namespace)}")
    for index, one in enumerate(fields.items("tools")):
        inner = f"{place}.tools[{index}]"
        tool = _tool(inner, one)
        function = tool["function"]
        own = Fields(function, inner)
        name, about = own.text("name"), own.text("description")
        if not name:
            raise ArgumentError(f"{inner}.name: wanted a name, found {short(name)}")
        if index == 0 and description:
            texts = filter(None, (description, about))
            function["description"] = "\n\n".join(texts)
        function["name"] = joined_name(namespace, name)
        namespaces[function["name"]] = (namespace, name)
        yield tool


def _tool(place: str, tool: object) -> dict[str, Any]:
    """Return a function in the shape of the chat completion API."""
    if not isinstance(tool, Mapping) or tool.get("type") != "function":
        found = tool.get("type") if isinstance(tool, Mapping) else tool
        raise ArgumentError(
            f"{place}.type: wanted function: the server has no tools of its own, "
            f"found {short(found)}"
        )
    function = {key: tool[key] for key in _KEYS if tool.get(key) is not None}
    return {"type": "function", "function": function}
