"""Schemas that stand for themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.structured.schema.places import Place


def check_circles(schemas: Mapping[str, Any], at: Place) -> None:
    """Check that no schema stands for itself without anything between."""
    done: set[str] = set()
    for first in schemas:
        path: list[str] = []
        pending: list[tuple[str, bool]] = [(first, True)]
        while pending:
            name, enters = pending.pop()
            if not enters:
                done.add(path.pop())
            elif name in path:
                at.refuse("a schema without circles", "a $ref that leads to itself")
            elif name not in done:
                path.append(name)
                pending.append((name, False))
                pending += [(one, True) for one in _direct(schemas[name])]


def _direct(node: Any) -> list[str]:
    """Name the schemas that a value must fit, or may, by fitting this one."""
    if not isinstance(node, Mapping):
        return []
    found = [node["$ref"].removeprefix("#/$defs/")] if "$ref" in node else []
    for keyword in ("allOf", "anyOf"):
        for part in node.get(keyword, ()):
            found += _direct(part)
    return found
