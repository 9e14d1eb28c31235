"""The types that a tool's schema allows for each parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Final

from llamacy.errors import ConstraintError
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.references import References


class ValueTypes(frozenset[str]):
    """The JSON schema types that a value may be of; empty if nothing is known.

    Attributes
    ----------
    is_whole : bool
        Whether all of the schema was looked at: it was not too large, and its
        references were found.
    """

    is_whole = True
    _references: References
    _schemas: Sequence[object]  # that may apply

    @classmethod
    def of(cls, references: References, schemas: Sequence[object]) -> ValueTypes:
        """Return the types of a value that fits one of some schemas.

        Parameters
        ----------
        references : References
            Finds what the whole schema refers to.
        schemas : sequence of object
            Parts of that schema, as the caller of a tool's model gave them.
        """
        finders = [_Finder(references) for _ in schemas]
        found = (
            one.types(schema) for one, schema in zip(finders, schemas, strict=True)
        )
        types = cls(frozenset[str]().union(*found))
        types.is_whole = all(one.is_whole for one in finders)
        types._references, types._schemas = references, schemas
        return types

    def member(self, key: str, /) -> ValueTypes:
        """Return the types of an object's member."""
        found: list[object] = []
        for part in self._parts():
            declared = part.get("properties")
            if isinstance(declared, Mapping) and key in declared:
                found.append(declared[key])
            else:
                others = part.get("patternProperties")
                found += others.values() if isinstance(others, Mapping) else ()
                found.append(part.get("additionalProperties"))
        return self._of(found)

    def item(self) -> ValueTypes:
        """Return the types of a list's items."""
        found: list[object] = []
        for part in self._parts():
            found.append(part.get("items"))
            first = part.get("prefixItems")
            found += first if isinstance(first, list) else ()
        return self._of(found)

    @property
    def key(self) -> tuple[int, ...]:
        """Tells apart types that come from other schemas."""
        return tuple(map(id, getattr(self, "_schemas", ())))

    def _of(self, schemas: Sequence[object]) -> ValueTypes:
        known = [each for each in schemas if isinstance(each, Mapping)]
        return ValueTypes.of(self._references, known) if known else UNKNOWN

    def _parts(self) -> list[Mapping[str, Any]]:
        """Return the schemas that may apply, alternatives too."""
        if not hasattr(self, "_schemas"):
            return []
        finder, found = _Finder(self._references), list[Mapping[str, Any]]()
        waiting = list(self._schemas)
        while waiting and len(found) < _MAX_STEPS:
            parts = finder.resolved(waiting.pop())
            found += parts
            for part in parts:
                for key in ("anyOf", "oneOf"):
                    branches = part.get(key)
                    waiting += branches if isinstance(branches, list) else ()
        return found


UNKNOWN: Final = ValueTypes()
"""The types of a value of which nothing is known."""

Types = Mapping[str, Mapping[str, ValueTypes]]
"""JSON schema types allowed for a parameter, by tool and by parameter."""

_UNKNOWN: Final = frozenset[str]()
_MAX_STEPS: Final = 1000  # subschemas looked at for one parameter
_MAX_DEPTH: Final = 20  # levels of `anyOf`; schemas may contain themselves
_SHAPES: Final = {
    "properties": "object",
    "additionalProperties": "object",
    "patternProperties": "object",
    "items": "array",
    "prefixItems": "array",
}


def parameter_types(tools: Iterable[Mapping[str, Any]]) -> Types:
    """Collect the parameters' types from tool schemas in OpenAI's shape.

    References within a tool's schema are followed. A parameter of which nothing is
    known has no types.
    """
    return {
        tool["function"]["name"]: _properties(tool["function"].get("parameters"))
        for tool in tools
    }


def types_of(value: object) -> frozenset[str]:
    """Return the JSON schema types that a value is of."""
    match value:
        case bool():
            return frozenset(["boolean"])
        case int():
            return frozenset(["integer", "number"])
        case float():
            whole = ["integer"] if value.is_integer() else []
            return frozenset(["number", *whole])
        case list():
            return frozenset(["array"])
        case dict():
            return frozenset(["object"])
        case None:
            return frozenset(["null"])
    return frozenset(["string"])


def _properties(schema: object) -> dict[str, ValueTypes]:
    if not isinstance(schema, Mapping):
        return {}
    references = References(schema)
    found = _Finder(references).resolved(schema)
    properties: dict[str, Any] = {}
    for part in found:
        if isinstance(own := part.get("properties"), Mapping):
            properties |= own
    return {key: ValueTypes.of(references, [each]) for key, each in properties.items()}


class _Finder:
    """Finds the types that one parameter's schema allows.

    Parameters
    ----------
    references : References
        Finds what the whole schema refers to.

    Attributes
    ----------
    is_whole : bool
        Whether no limit was reached, and every reference was found.
    """

    def __init__(self, references: References) -> None:
        self.is_whole = True
        self._references = references
        self._n_steps = 0

    def resolved(self, schema: object) -> list[Mapping[str, Any]]:
        """Return the schemas that apply together: it, its `$ref`, its `allOf`."""
        found: list[Mapping[str, Any]] = []
        waiting, seen = [schema], set[str]()
        while waiting and self._n_steps < _MAX_STEPS:
            self._n_steps += 1
            one = waiting.pop(0)
            if not isinstance(one, Mapping):
                continue
            found.append(one)
            reference = one.get("$ref")
            if isinstance(reference, str) and reference not in seen:
                seen.add(reference)
                waiting.append(target := self._target(reference))
                self.is_whole &= target is not None
            if isinstance(parts := one.get("allOf"), list):
                waiting += parts
        self.is_whole &= not waiting
        return found

    def types(self, schema: object, depth: int = _MAX_DEPTH) -> frozenset[str]:
        """Return the types that a schema allows."""
        if not depth:
            self.is_whole = False
            return _UNKNOWN
        sets = [
            types
            for part in self.resolved(schema)
            for types in self._stated(part, depth - 1)
            if types
        ]
        common = reduce(frozenset.__and__, sets) if sets else _UNKNOWN
        # contradictions are for the caller to find: any of the types will do
        allowed = common or reduce(frozenset.__or__, sets, _UNKNOWN)
        is_nullable = isinstance(schema, Mapping) and schema.get("nullable") is True
        return allowed | {"null"} if allowed and is_nullable else allowed

    def _stated(self, schema: Mapping[str, Any], depth: int) -> list[frozenset[str]]:
        """Return the types that each keyword of a schema allows by itself."""
        named = schema.get("type")
        names = named if isinstance(named, list) else [named]
        types = {name for name in names if isinstance(name, str)}
        stated = [frozenset(types | ({"integer"} if "number" in types else set()))]
        values = schema.get("enum")
        values = list(values) if isinstance(values, list) else []
        values += [schema["const"]] if "const" in schema else []
        stated.append(_UNKNOWN.union(*map(types_of, values)))
        for key in ("anyOf", "oneOf"):
            branches = schema.get(key)
            if isinstance(branches, list):
                found = (self.types(branch, depth) for branch in branches)
                stated.append(_UNKNOWN.union(*found))
        if not any(stated):
            stated += [
                frozenset([is_]) for key, is_ in _SHAPES.items() if key in schema
            ]
        return stated

    def _target(self, reference: str) -> object:
        """Return the schema that a reference such as `#/$defs/Span` names."""
        try:
            return self._references.find(reference, Place("tools")).node
        except ConstraintError:
            return None
