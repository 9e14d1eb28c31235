"""Keywords that only some values of can be enforced, or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.structured.schema.keywords import COMBINING
from llamacy.structured.schema.objects import shape, with_names
from llamacy.structured.schema.places import Place


def is_enforced(node: Mapping[str, Any], keyword: str, value: Any, at: Place) -> bool:
    """Whether a keyword of `NOT_ENFORCED` can be said by others."""
    if keyword == "unevaluatedProperties":
        return value is False and not node.keys() & COMBINING
    if keyword == "propertyNames":
        return with_names(shape(node, at), value, at / keyword) is not None
    return False


def is_harmless(node: Mapping[str, Any], keyword: str) -> bool:
    """Whether a keyword of `NOT_ENFORCED` forbids nothing here."""
    value = node[keyword]
    match keyword:
        case "uniqueItems":
            most = node.get("maxItems")
            return value is False or (isinstance(most, int) and most <= 1)
        case "if":
            return not node.keys() & {"then", "else"}
        case "then" | "else":
            return "if" not in node
        case "minContains" | "maxContains":
            return "contains" not in node
        case "unevaluatedItems" | "unevaluatedProperties" | "propertyNames":
            return value is True or value == {}
        case "not":
            return value is False
        case "dependentRequired" | "dependentSchemas" | "dependencies":
            return bool(value == {})
    return False
