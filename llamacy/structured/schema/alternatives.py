"""`oneOf`: an alternative is taken where no text can fit two of them.

llguidance cannot count alternatives, so `oneOf` is enforced as `anyOf`, where that is
the same: the alternatives differ in their type, in a constant, or in a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from llamacy.structured.schema.keywords import COMBINING, OF_TYPE
from llamacy.structured.schema.values import canonical

Resolve = Callable[[Any], Any]
"""Returns the target of a schema that is a reference alone, or else the schema."""

_ALL = frozenset({"null", "boolean", "number", "string", "array", "object"})
_DEPTH = 6


def are_disjoint(nodes: Sequence[Any], resolve: Resolve) -> bool:
    """Say whether no value fits two of several schemas, as far as can be told."""
    return all(_differ(a, b, resolve, _DEPTH) for a, b in combinations(nodes, 2))


def tag_of(nodes: Sequence[Any], resolve: Resolve) -> str | None:
    """Find a property whose constants tell alternatives apart, if it is there.

    Objects that have it fit one alternative only.
    """
    nodes = [resolve(node) for node in nodes]
    tables = [_properties(node) for node in nodes]
    if not all(tables) or any(node.get("type", "object") != "object" for node in nodes):
        return None
    for key in tables[0]:
        values = [_constants(resolve(table.get(key))) for table in tables]
        if all(
            a is not None and b is not None and not a & b
            for a, b in combinations(values, 2)
        ):
            return key
    return None


def _differ(a: Any, b: Any, resolve: Resolve, depth: int) -> bool:
    a, b = resolve(a), resolve(b)
    if a is False or b is False:
        return True
    if not depth or not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return False
    if not _types(a, resolve, depth) & _types(b, resolve, depth):
        return True
    constants = _constants(a), _constants(b)
    if constants[0] is not None and constants[1] is not None:
        return not constants[0] & constants[1]
    if _types(a, resolve, depth) & _types(b, resolve, depth) != {"object"}:
        return False
    return _differ_in_keys(a, b, resolve, depth)


def _differ_in_keys(a: Any, b: Any, resolve: Resolve, depth: int) -> bool:
    """Say whether objects that fit two schemas differ in a key that one of them asks.

    Only keywords that stand beside one another count: each of them alone forbids.
    """
    tables = _properties(a), _properties(b)
    required = [
        {key for key in node.get("required", ()) if isinstance(key, str)}
        for node in (a, b)
    ]
    for key in required[0] & required[1]:
        if key in tables[0] and key in tables[1]:
            if _differ(tables[0][key], tables[1][key], resolve, depth - 1):
                return True
    for node, table, asked in (
        (a, tables[0], required[1]),
        (b, tables[1], required[0]),
    ):
        is_closed = node.get("additionalProperties") is False
        if is_closed and not node.get("patternProperties") and asked - table.keys():
            return True
    return False


def _types(node: Any, resolve: Resolve, depth: int) -> frozenset[str]:
    """Return the types of the values that may fit a schema, `integer` as `number`."""
    node = resolve(node)
    if not isinstance(node, Mapping) or not depth:
        return _ALL if node is not False else frozenset()
    found = _ALL
    if "type" in node:
        named = node["type"]
        names = [named] if isinstance(named, str) else named
        if isinstance(names, list | tuple):
            found = frozenset("number" if n == "integer" else n for n in names) & _ALL
    constants = [node["const"]] if "const" in node else node.get("enum")
    if isinstance(constants, list | tuple):
        found &= frozenset(map(type_of, constants))
    for keyword in ("anyOf", "oneOf"):
        parts = node.get(keyword)
        if isinstance(parts, list | tuple):
            found &= frozenset[str]().union(
                *(_types(part, resolve, depth - 1) for part in parts)
            )
    return found


def implied_type(node: Mapping[str, Any]) -> str | None:
    """Return the only type whose values a schema without `type` says anything about."""
    if node.keys() & {"type", "enum", "const", *COMBINING}:
        return None
    found = [name for name, keywords in OF_TYPE.items() if node.keys() & keywords]
    return found[0] if len(found) == 1 else None


def type_of(value: Any) -> str:
    """Return the type of a constant; an integer is a number here."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


def _constants(node: Any) -> frozenset[object] | None:
    """Return the values that a schema lists, if it does."""
    if not isinstance(node, Mapping):
        return None
    if "const" in node:
        return frozenset([canonical(node["const"])])
    if isinstance(node.get("enum"), list | tuple):
        return frozenset(map(canonical, node["enum"]))
    return None


def _properties(node: Any) -> Mapping[str, Any]:
    found = node.get("properties") if isinstance(node, Mapping) else None
    return found if isinstance(found, Mapping) else {}
