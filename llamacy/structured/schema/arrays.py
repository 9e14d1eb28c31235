"""Arrays: their items, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.structured.schema.places import Place, Visit
from llamacy.structured.schema.strings import counts


def array_keywords(node: Mapping[str, Any], at: Place, visit: Visit) -> dict[str, Any]:
    """Return the keywords about items, as llguidance enforces them.

    Parameters
    ----------
    node : mapping
        The schema.
    at : Place
        Its place.
    visit : callable
        Translates the schemas of items.
    """
    found: dict[str, Any] = counts(node, at, "minItems", "maxItems")
    first, rest = "prefixItems", "items"
    if isinstance(node.get("items"), list | tuple):  # up to the seventh draft
        first, rest = "items", "additionalItems"
    if (items := node.get(first)) is not None:
        if not isinstance(items, list | tuple):
            (at / first).refuse("a list of schemas", items)
        found["prefixItems"] = [
            visit(item, at / first / i) for i, item in enumerate(items)
        ]
    if (others := node.get(rest)) is not None:
        found["items"] = visit(others, at / rest)
    return found
