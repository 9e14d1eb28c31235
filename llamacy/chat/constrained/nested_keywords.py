"""Keywords of schemas whose values are written in a notation other than JSON's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llamacy.chat.reply.schema_types import ValueTypes
from llamacy.structured.schema.alternatives import type_of
from llamacy.structured.schema.keywords import (
    ASSERTIONS,
    COMBINING,
    NOT_ENFORCED,
    OF_TYPE,
)
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.unenforced import is_harmless


def enforced(node: Mapping[str, Any], at: Place) -> dict[str, Any]:
    """Return the keywords that forbid anything, or refuse one of them."""
    keywords = {key: node[key] for key in node if key in ASSERTIONS}
    for keyword in keywords.keys() & NOT_ENFORCED:
        if is_harmless(node, keyword):
            del keywords[keyword]
        elif keyword != "unevaluatedProperties":
            (at / keyword).refuse("a keyword that this form of calls has", keyword)
    return keywords


def check_types(types: ValueTypes, at: Place) -> None:
    """Refuse a schema whose types the reader of a call would not all find."""
    if not types.is_whole:
        at.refuse("a few alternatives, and references by place", sorted(types))


def check_known(node: Mapping[str, Any], at: Place, name: str) -> None:
    """Refuse keywords about a list or an object that no rule is made of."""
    known = {
        "array": {"items", "minItems", "maxItems"},
        "object": {
            *("properties", "required", "additionalProperties"),
            *("unevaluatedProperties", "patternProperties"),
        },
    }[name]
    for keyword in node:
        is_other = keyword in OF_TYPE[name] and keyword not in known
        is_combined = keyword in COMBINING or keyword in ("enum", "const")
        if is_other or is_combined:
            (at / keyword).refuse("a keyword that this form of calls has", keyword)


def constants(node: Mapping[str, Any], at: Place) -> list[Any]:
    """Return the values that a schema lists, of its type if it has one.

    Raises
    ------
    ConstraintError
        It says more about them, or none is of its type.
    """
    if rest := node.keys() - {"type", "enum", "const"}:
        at.refuse("constants alone, without other keywords", sorted(rest))
    if "enum" in node and "const" in node:
        at.refuse("either enum or const", "both")
    values = [node["const"]] if "const" in node else node["enum"]
    named = node.get("type")
    if named is not None:
        names = {named} if isinstance(named, str) else {*named}
        if "integer" in names and "number" not in names:
            values = [
                value
                for value in values
                if not isinstance(value, float) or value.is_integer()
            ]
            names.add("number")
        values = [value for value in values if type_of(value) in names]
    if not values:
        at.refuse("a constant of its type", node)
    return list(values)
