"""Objects: declared properties, and the keys that are not declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from llamacy.structured.schema.places import Place, Visit
from llamacy.structured.schema.strings import counts, schema_pattern
from llamacy.structured.schema.values import check_text


class Shape(NamedTuple):
    """The keys that a schema of objects declares, checked but not translated.

    Attributes
    ----------
    properties : dict of str to schema
        In order.
    patterns : dict of str to schema
        By the pattern of their keys.
    others : schema or None
        Of all other keys; None if the schema does not say.
    required : list of str
        Keys that must be there.
    """

    properties: Mapping[str, Any]
    patterns: Mapping[str, Any]
    others: Any
    required: list[str]


def shape(node: Mapping[str, Any], at: Place) -> Shape:
    """Return the keys of a schema of objects.

    Raises
    ------
    ConstraintError
        A keyword has an invalid value.
    """
    properties = _mapping(node, at, "properties")
    for key in properties:
        check_text(key, at / "properties" / str(key))
    patterns = _mapping(node, at, "patternProperties")
    for pattern in patterns:
        schema_pattern(pattern, at / "patternProperties" / str(pattern))
    required = node.get("required", [])
    if isinstance(required, bool):  # in the third draft, of the property itself
        required = []
    if not isinstance(required, list | tuple):
        (at / "required").refuse("a list of keys", required)
    for key in required:
        check_text(key, at / "required")
    others = node.get("additionalProperties")
    if node.get("unevaluatedProperties") is False and others is None:
        others = False
    return Shape(properties, patterns, others, list(required))


def with_names(shape: Shape, names: Any, at: Place) -> Shape | None:
    """Return a shape whose keys are only those that `propertyNames` allows.

    None if that cannot be said by declaring keys.
    """
    if names is True or names == {} or names == {"type": "string"}:
        return shape
    if not isinstance(names, Mapping):
        return None
    names = {key: names[key] for key in names if key not in ("type", "title", "$ref")}
    allowed = [names["const"]] if "const" in names else names.get("enum")
    is_plain = not shape.patterns and len(names) == 1
    others = {} if shape.others is None else shape.others
    if is_plain and isinstance(allowed, list | tuple):
        keys = [check_text(key, at) for key in allowed if isinstance(key, str)]
        declared = {key: s for key, s in shape.properties.items() if key in keys}
        free = {key: others for key in keys if key not in declared}
        return Shape({**declared, **free}, {}, False, shape.required)
    if is_plain and "pattern" in names and not shape.properties:
        pattern = schema_pattern(names["pattern"], at / "pattern")
        return Shape({}, {pattern: others}, False, shape.required)
    return None


def object_keywords(
    node: Mapping[str, Any],
    at: Place,
    keys: Shape,
    visit: Visit,
    *,
    is_closed: bool,
    is_lenient: bool,
) -> dict[str, Any]:
    """Return the keywords about keys, as llguidance enforces them.

    Parameters
    ----------
    node : mapping
        The schema.
    at : Place
        Its place.
    keys : Shape
        Its keys.
    visit : callable
        Translates the schemas of values.
    is_closed : bool
        Whether keys that are not declared may be left out, if nothing is said of them.
    is_lenient : bool
        Whether keywords that cannot be enforced are left out.
    """
    found: dict[str, Any] = {**counts(node, at, "minProperties", "maxProperties")}
    others = keys.others
    declared = {
        key: visit(schema, at / "properties" / key)
        for key, schema in keys.properties.items()
    }
    for key in keys.required:
        if key not in declared:
            declared[key] = {} if others is None else visit(others, at / "required")
    if others is None and is_closed and declared and not keys.patterns:
        others = False
    if declared:
        found["properties"] = declared
    if keys.patterns:
        found["patternProperties"] = {
            pattern: visit(schema, at / "patternProperties" / pattern)
            for pattern, schema in keys.patterns.items()
        }
    if keys.required:
        found["required"] = list(dict.fromkeys(keys.required))
    if others is not None:
        found["additionalProperties"] = visit(others, at / "additionalProperties")
    is_free = others is not False or bool(keys.patterns)
    _check_count(found, at, is_free=is_free, is_lenient=is_lenient)
    return found


def _check_count(
    found: dict[str, Any], at: Place, *, is_free: bool, is_lenient: bool
) -> None:
    """Check that a least number of keys can be told from the keys written.

    An undeclared key may be written twice, which a reader counts as one.
    """
    least = found.get("minProperties", 0)
    if least <= len(found.get("required", ())):
        found.pop("minProperties", None)
    elif least > 1 and is_free and not is_lenient:
        (at / "minProperties").refuse(
            "at most 1 where undeclared keys are allowed, which may be repeated", least
        )


def _mapping(node: Mapping[str, Any], at: Place, name: str) -> Mapping[str, Any]:
    value = node.get(name, {})
    if not isinstance(value, Mapping):
        (at / name).refuse("a dict of schemas", value)
    return value
