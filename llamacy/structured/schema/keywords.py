"""The keywords of JSON schema, and what each does to a text."""

from __future__ import annotations

from typing import Final

TYPES: Final = ("null", "boolean", "integer", "number", "string", "array", "object")

NUMBER: Final = frozenset(
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf".split()
)
STRING: Final = frozenset("minLength maxLength pattern format".split())
ARRAY: Final = frozenset(
    "items prefixItems additionalItems minItems maxItems uniqueItems contains "
    "minContains maxContains unevaluatedItems".split()
)
OBJECT: Final = frozenset(
    "properties required additionalProperties patternProperties minProperties "
    "maxProperties propertyNames dependentRequired dependentSchemas dependencies "
    "unevaluatedProperties".split()
)
COMBINING: Final = frozenset("anyOf oneOf allOf $ref".split())
OTHER: Final = frozenset("type enum const".split())

OF_TYPE: Final = {
    "number": NUMBER,
    "string": STRING,
    "array": ARRAY,
    "object": OBJECT,
}
"""The keywords that act on values of one type."""

NOT_ENFORCED: Final = frozenset(
    "not if then else contains minContains maxContains dependentRequired "
    "dependentSchemas dependencies unevaluatedItems unevaluatedProperties "
    "propertyNames uniqueItems $dynamicRef $recursiveRef".split()
)
"""Keywords that only some values of can be enforced, or none."""

ASSERTIONS: Final = NUMBER | STRING | ARRAY | OBJECT | COMBINING | OTHER | NOT_ENFORCED
"""The keywords that forbid anything."""

_LOWER: Final = {keyword.lower().replace("$", ""): keyword for keyword in ASSERTIONS}


def misspelt(keyword: str) -> str | None:
    """Return the keyword that an unknown one was meant to be, if it is near one.

    Unknown keywords forbid nothing, as the specification says. But ``maxlength`` or
    ``min_items`` would be lost without a word.
    """
    return _LOWER.get(keyword.lower().replace("_", "").replace("-", ""))
