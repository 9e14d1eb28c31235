"""Translating a JSON schema into one that llguidance enforces to the letter."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llamacy.structured.schema.alternatives import (
    are_disjoint,
    implied_type,
    tag_of,
    type_of,
)
from llamacy.structured.schema.arrays import array_keywords
from llamacy.structured.schema.circles import check_circles
from llamacy.structured.schema.keywords import (
    ARRAY,
    ASSERTIONS,
    COMBINING,
    NOT_ENFORCED,
    NUMBER,
    OBJECT,
    STRING,
    TYPES,
    misspelt,
)
from llamacy.structured.schema.numbers import number_keywords
from llamacy.structured.schema.objects import object_keywords, shape, with_names
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.references import References
from llamacy.structured.schema.strings import string_keywords
from llamacy.structured.schema.translated import Overlap, Part, Translated
from llamacy.structured.schema.unenforced import is_enforced, is_harmless
from llamacy.structured.schema.values import checked_value

_MAX_PARTS: Final = 20_000
"""Most schemas within a schema, and constants of it."""

_logger = logging.getLogger("llamacy")


def translate(
    schema: Any,
    argument: str = "json_schema",
    start: str = "#",
    *,
    is_lenient: bool = False,
) -> Translated:
    """Translate a JSON schema.

    Parameters
    ----------
    schema : mapping or bool
        The schema.
    argument : str
        The argument that it was given as, for errors.
    start : str
        The part that is translated, with all that it refers to.
    is_lenient : bool
        Whether keywords that cannot be enforced are left out, with a warning.

    Raises
    ------
    ConstraintError
        It is no schema, or has a keyword that cannot be enforced.
    ConstraintLimitError
        It is too large.
    """
    return _Translator(schema, argument, is_lenient).whole(start)


class _Translator:
    """Translates one schema."""

    def __init__(self, root: Any, argument: str, is_lenient: bool) -> None:
        self._root = root
        self._argument = argument
        self._is_lenient = is_lenient
        self._references = References(root)
        self._names: dict[tuple[str, bool], str] = {}
        self._pending: list[tuple[str, Any, str, bool]] = []
        self._parts: list[Part] = []
        self._properties: list[Part] = []
        self._overlaps: list[Overlap] = []
        self._n_parts = 0

    def whole(self, start: str) -> Translated:
        """Translate a part of the schema, and all that it refers to."""
        at = Place(self._argument)
        if start != "#":
            at = Place(self._argument, start)
        node = self._visit(self._references.find(start, at).node, at)
        schemas: dict[str, Any] = {}
        while self._pending:
            name, target, pointer, is_joined = self._pending.pop()
            at = Place(self._argument, pointer)
            schemas[name] = self._visit(target, at, is_joined=is_joined)
        check_circles(schemas, Place(self._argument))
        if node is False:
            Place(self._argument).refuse("a schema that something fits", False)
        whole = {**node, "$defs": schemas} if schemas else node
        return Translated(whole, self._parts, self._properties, self._overlaps)

    def _visit(
        self,
        node: Any,
        at: Place,
        *,
        is_joined: bool = False,
        also_required: str | None = None,
    ) -> Any:
        """Translate a schema.

        Parameters
        ----------
        node : mapping or bool
            The schema.
        at : Place
            Its place.
        is_joined : bool
            Whether the same value must fit other schemas too, so that nothing may be
            left out here that they may ask for.
        also_required : str, optional
            A further key that objects must have.
        """
        self._count(at)
        if isinstance(node, bool):
            return {} if node else False
        if not isinstance(node, Mapping):
            at.refuse("a schema, as a dict or a bool", node)
        if also_required is not None:
            required = shape(node, at).required
            node = {"type": "object", **node, "required": [*required, also_required]}
        node = self._without_unenforced(self._known(node, at), at)
        lone = self._lone_part(node)
        if lone is not None:
            return self._visit(lone, at / "allOf" / 0, is_joined=is_joined)
        found = self._own_keywords(node, at, is_joined=is_joined)
        found |= self._combining(node, at, found, is_joined=is_joined)
        self._parts.append(Part(at, found))
        return found

    def _count(self, at: Place, n: int = 1) -> None:
        self._n_parts += n
        if self._n_parts > _MAX_PARTS:
            at.refuse_size(f"at most {_MAX_PARTS} parts of a schema", "more")

    def _known(self, node: Mapping[str, Any], at: Place) -> dict[str, Any]:
        """Return the keywords that forbid anything; refuse those that were misspelt."""
        for keyword in node:
            if not isinstance(keyword, str):
                at.refuse("keywords", keyword)
            if keyword not in ASSERTIONS and (meant := misspelt(keyword)):
                (at / keyword).refuse(f"the keyword {meant}", keyword)
        return {key: value for key, value in node.items() if key in ASSERTIONS}

    def _without_unenforced(self, node: dict[str, Any], at: Place) -> dict[str, Any]:
        """Return a schema without keywords that cannot be enforced, or refuse it."""
        kept = {}
        for keyword, value in node.items():
            if keyword == "propertyNames":
                value = self._resolved(value)
            if keyword not in NOT_ENFORCED or is_enforced(node, keyword, value, at):
                kept[keyword] = value
            elif not is_harmless(node, keyword):
                self._leave_out(at / keyword, keyword)
        return kept

    def _leave_out(self, at: Place, keyword: str) -> None:
        """Warn of a keyword that is left out, or refuse it."""
        if not self._is_lenient:
            at.refuse(
                "a keyword that can be enforced (json_schema_lenient=True leaves "
                "others out)",
                keyword,
            )
        _logger.warning("%s: %s is not enforced", at, keyword)

    @staticmethod
    def _lone_part(node: Mapping[str, Any]) -> Any:
        """Return the only part of an `allOf` that stands alone."""
        parts = node.get("allOf")
        if len(node) == 1 and isinstance(parts, list | tuple) and len(parts) == 1:
            return parts[0]
        return None

    def _own_keywords(
        self, node: Mapping[str, Any], at: Place, *, is_joined: bool
    ) -> dict[str, Any]:
        """Translate the keywords of types, one by one."""
        found: dict[str, Any] = {}
        if "type" in node:
            found["type"] = _checked_type(node["type"], at / "type")
        elif not is_joined and (name := implied_type(node)):
            found["type"] = name
        for keyword in ("enum", "const"):
            if keyword in node:
                found[keyword] = self._constants(node[keyword], at / keyword, keyword)
        if node.keys() & NUMBER:
            found |= number_keywords(node, at)
        if node.keys() & STRING:
            found |= string_keywords(node, at, is_lenient=self._is_lenient)
        if node.keys() & ARRAY:
            found |= array_keywords(node, at, self._visit)
        if node.keys() & OBJECT:
            found |= self._object(node, at, is_joined=is_joined)
        return found

    def _constants(self, value: Any, at: Place, keyword: str) -> Any:
        if keyword == "const":
            return checked_value(value, at)
        if not isinstance(value, list | tuple) or not value:
            at.refuse("a list of values", value)
        self._count(at, len(value))
        return [checked_value(item, at / i) for i, item in enumerate(value)]

    def _object(
        self, node: Mapping[str, Any], at: Place, *, is_joined: bool
    ) -> dict[str, Any]:
        keys = shape(node, at)
        if "propertyNames" in node:
            names = node["propertyNames"]
            keys = with_names(keys, names, at / "propertyNames") or keys
        found = object_keywords(
            node,
            at,
            keys,
            self._visit,
            is_closed=not is_joined and not node.keys() & COMBINING,
            is_lenient=self._is_lenient,
        )
        properties = found.get("properties", {})
        self._properties += [
            Part(at / "properties" / key, properties[key])
            for key in keys.properties
            if isinstance(properties[key], Mapping) and _may_be_empty(properties[key])
        ]
        self._overlaps += [
            Overlap(at / "properties" / key, key, pattern, {"allOf": [value, schema]})
            for pattern, schema in found.get("patternProperties", {}).items()
            for key, value in properties.items()
            if value is not False
        ]
        return found

    def _combining(
        self,
        node: Mapping[str, Any],
        at: Place,
        found: dict[str, Any],
        *,
        is_joined: bool,
    ) -> dict[str, Any]:
        """Translate references and the keywords that combine schemas."""
        combining = [keyword for keyword in node if keyword in COMBINING]
        is_alone = not found and len(combining) == 1
        is_joined = is_joined or not is_alone
        more: dict[str, Any] = {}
        every = list(found.get("allOf", ()))
        for keyword in combining:
            place = at / keyword
            if keyword == "$ref":
                more["$ref"] = self._reference(node["$ref"], place, is_joined)
                continue
            parts = node[keyword]
            if not isinstance(parts, list | tuple) or not parts:
                place.refuse("a list of schemas", parts)
            joined = is_joined or keyword == "allOf"
            tag = self._tag(parts, place) if keyword == "oneOf" else None
            if tag is not None:
                parts = [self._resolved(part) for part in parts]
            translated = [
                self._visit(part, place / i, is_joined=joined, also_required=tag)
                for i, part in enumerate(parts)
            ]
            if keyword == "allOf":
                every += translated
            elif "anyOf" in more:
                every.append({"anyOf": translated})
            else:
                more["anyOf"] = translated
        if every:
            more["allOf"] = every
        return more

    def _tag(self, parts: Sequence[Any], at: Place) -> str | None:
        """Check that no value fits two of `oneOf`'s parts; return the key for it.

        None if they differ anyway.
        """
        if are_disjoint(parts, self._resolved):
            return None
        tag = tag_of(parts, self._resolved)
        if tag is None:
            self._leave_out(at, "oneOf whose parts have no property that differs")
        return tag

    def _reference(self, reference: Any, at: Place, is_joined: bool) -> str:
        target = self._references.find(reference, at)
        key = (target.pointer, is_joined)
        if key not in self._names:
            self._names[key] = str(len(self._names))
            self._pending.append(
                (self._names[key], target.node, target.pointer, is_joined)
            )
        return f"#/$defs/{self._names[key]}"

    def _resolved(self, node: Any) -> Any:
        return self._references.resolved(node, Place(self._argument))


def _may_be_empty(node: Mapping[str, Any]) -> bool:
    """Whether the keywords of a translated schema may leave nothing that fits."""
    keys = node.keys() - {"type"}
    constants = [node["const"]] if "const" in node else node.get("enum")
    if constants is not None and len(keys) == 1 and "type" in node:
        named = [node["type"]] if isinstance(node["type"], str) else node["type"]
        types = {"number" if name == "integer" else name for name in named}
        has_float = any(isinstance(value, float) for value in constants)
        return has_float or not any(type_of(value) in types for value in constants)
    structure = {"properties", "required", "additionalProperties", "items"}
    return len(keys) > 1 and not keys <= structure


def _checked_type(value: Any, at: Place) -> Any:
    names = [value] if isinstance(value, str) else value
    is_list = isinstance(names, list | tuple) and bool(names)
    if not is_list or not all(isinstance(n, str) and n in TYPES for n in names):
        at.refuse(f"one of {', '.join(TYPES)}, or a list of them", value)
    return value if isinstance(value, str) else list(value)
