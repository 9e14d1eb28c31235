"""Arguments that are written in a notation of lists and objects other than JSON's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from llamacy.chat.constrained.nested_keywords import (
    check_known,
    check_types,
    constants,
    enforced,
)
from llamacy.chat.constrained.notations import Notation
from llamacy.chat.reply.schema_types import UNKNOWN, ValueTypes, parameter_types
from llamacy.structured.form import Form
from llamacy.structured.options import schema_form
from llamacy.structured.schema.alternatives import are_disjoint, implied_type
from llamacy.structured.schema.keywords import (
    ASSERTIONS,
    COMBINING,
    NUMBER,
)
from llamacy.structured.schema.objects import shape
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.references import References
from llamacy.structured.schema.strings import counts
from llamacy.structured.schema.translating import translate

_NUMBERS: Final = {  # that a float has, and Python's limit of digits
    "integer": "/-?(0|[1-9][0-9]{0,99})/",
    "number": r"/-?(0|[1-9][0-9]{0,99})(\.[0-9]{1,99})?([eE][-+]?[0-9]{1,2})?/",
}
_WORDS: Final = {"boolean": '("true" | "false")', "null": '"null"'}

Member = Callable[[str], ValueTypes]
"""Returns the types that the reader takes an object's member for."""


def sequence(
    rules: list[str], rule: str, items: Sequence[tuple[str, bool]], between: str
) -> str:
    """Add rules for items in order, some of which may be left out; return their terms.

    `first` rules have nothing before them, and `rest` rules an item.

    Parameters
    ----------
    rules : list of str
        Grows by the rules.
    rule : str
        The beginning of their names.
    items : sequence of (str, bool)
        The terms of each item, and whether it must be there.
    between : str
        The terms between items.
    """
    for kind, lead in (("first", ""), ("rest", between)):
        for i, (item, is_required) in enumerate(items):
            skip = "" if is_required else f" | {rule}_{kind}_{i + 1}"
            rules.append(
                f"{rule}_{kind}_{i}: {lead} {item} {rule}_rest_{i + 1}{skip}\n"
            )
        rules.append(f'{rule}_{kind}_{len(items)}: ""\n')
    return f"{rule}_first_0"


class NestedValues:
    """Writes the rules of one tool's arguments.

    Parameters
    ----------
    notation : Notation
        How they are written.
    name : str
        The beginning of the rules' names.
    form : Form
        The schema of the arguments.

    Attributes
    ----------
    rules : list of str
        The rules so far.
    forms : dict of str to Form
        The forms of numbers with limits, which are written as JSON.
    """

    def __init__(self, notation: Notation, name: str, form: Form) -> None:
        self.rules: list[str] = []
        self.forms: dict[str, Form] = {}
        self._notation = notation
        self._name = name
        self._argument = form.argument
        self._schema = json.loads(form.source)
        self._references = References(self._schema)
        self._known: dict[object, str] = {}  # rules, by what they are of
        self._n_rules = 0

    def arguments(self, *, has_ends: bool) -> str:
        """Return the terms of all arguments, with the object's own ends or without.

        Raises
        ------
        ConstraintError
            The schema has a part that cannot be written so.
        """
        at = Place(self._argument)
        translate(self._schema, self._argument)  # all its values have valid types then
        tool = {"function": {"name": "tool", "parameters": self._schema}}
        types = parameter_types([tool])["tool"]
        whole = self._schema
        if "$ref" in whole and whole.get("type") == "object":
            whole = {key: whole[key] for key in whole if key != "type"}
        node, at = self._target(whole, at)
        check_known(enforced(node, at), at, "object")
        return self._object(
            node,
            at,
            lambda key: types.get(key, UNKNOWN),
            ValueTypes(["object"]),
            has_ends=has_ends,
        )

    def value(self, node: Any, at: Place) -> str:
        """Return the terms of one value, the reader of which knows no types.

        Raises
        ------
        ConstraintError
            The schema has a part that cannot be written so.
        """
        return self._value(node, at, UNKNOWN)

    def _value(self, node: Any, at: Place, types: ValueTypes) -> str:
        """Return the terms of a value that fits a schema."""
        if self._notation.needs_types:
            check_types(types, at)
        node, at = self._target(node, at)
        if node is False:
            at.refuse("a schema that something fits", node)
        node = {} if node is True else node
        keywords = enforced(node, at)
        if keywords.keys() & COMBINING:
            return self._combined(keywords, at, types)
        if "enum" in keywords or "const" in keywords:
            return self._constants(keywords, at, types)
        named = keywords.get("type") or implied_type(node)
        if named is None and not keywords:
            return self._any(types)
        if named is None:
            at.refuse("the type of the value", sorted(keywords))
        names = [named] if isinstance(named, str) else named
        return self._either(
            [self._of_type(name, keywords, at, types) for name in names]
        )

    def _of_type(
        self, name: str, node: Mapping[str, Any], at: Place, types: ValueTypes
    ) -> str:
        if name in _WORDS:
            return self._notation.plain(_WORDS[name])
        if name in ("number", "integer"):
            return self._number(name, node)
        if name == "string":
            return self._text(node, at, types)
        check_known(node, at, name)
        key = (at.pointer, name, types.key)
        if key not in self._known:
            self._known[key] = rule = self._new()
            if name == "array":
                terms = self._list(node, at, types)
            else:
                terms = self._object(node, at, types.member, types, has_ends=True)
            self.rules.append(f"{rule}: {terms}\n")
        return self._known[key]

    def _combined(self, node: Mapping[str, Any], at: Place, types: ValueTypes) -> str:
        """Return alternatives, which must stand alone."""
        if len(node) > 1:
            at.refuse("anyOf or oneOf alone, without other keywords", sorted(node))
        ((keyword, parts),) = node.items()
        if keyword == "allOf" and len(parts) > 1:
            (at / keyword).refuse("one schema instead of allOf", len(parts))
        if keyword == "oneOf" and not are_disjoint(parts, self._resolved):
            (at / keyword).refuse("oneOf whose parts differ in type", len(parts))
        places = [at / keyword / i for i in range(len(parts))]
        written = [
            self._value(part, place, types)
            for part, place in zip(parts, places, strict=True)
            if part is not False
        ]
        return self._either(written)

    def _constants(self, node: Mapping[str, Any], at: Place, types: ValueTypes) -> str:
        values = constants(node, at)
        written = [self._constant(value, at, types) for value in values]
        return self._either(list(dict.fromkeys(written)))

    def _constant(self, value: Any, at: Place, types: ValueTypes) -> str:
        text = self._notation.constant(value)
        try:
            found = self._notation.read(text, types)
        except (KeyError, ValueError):
            found = None
        if _plain(found) != _plain(value) or (found is None and value is not None):
            at.refuse("constants that can be told from values of other types", value)
        return self._notation.written(text)

    def _any(self, types: ValueTypes) -> str:
        """Return any value."""
        notation = self._notation
        text = self._text({}, Place(self._argument), types)
        if not notation.has_free_keys:
            return text  # any scalar is read from text
        if "any" not in self._known:
            self._known["any"] = rule = self._new()
            pair, between = notation.free_member(rule), self._between
            items = f"({rule} ({between} {rule})*)?"
            pairs = f"({pair} ({between} {pair})*)?"
            words = map(notation.plain, _WORDS.values())
            number = self._number("number", {})
            whole = [notation.listed(items), notation.mapped(pairs)]
            every = [text, number, *words, *whole]
            self.rules.append(f"{rule}: {' | '.join(every)}\n")
        return self._known["any"]

    def _text(self, node: Mapping[str, Any], at: Place, types: ValueTypes) -> str:
        content = self._notation.content(node, at, types)
        if content not in self._known:
            self._known[content] = terminal = self._new().upper()
            self.rules.append(f"{terminal}: {content}\n")
        return self._notation.text(self._known[content])

    def _number(self, name: str, node: Mapping[str, Any]) -> str:
        limits = {key: node[key] for key in node if key in NUMBER}
        if not limits:
            if name not in self._known:
                self._known[name] = terminal = self._new().upper()
                self.rules.append(f"{terminal}: {_NUMBERS[name]}\n")
            return self._notation.plain(self._known[name])
        schema = {"type": name, **limits}
        form = schema_form(self._argument, schema, is_lenient=False)
        key = ("number", form.source)
        if key not in self._known:
            self._known[key] = rule = f"{self._new()}_json"
            self.forms[rule] = form
        return self._notation.plain(f"@{self._known[key]}")

    def _list(self, node: Mapping[str, Any], at: Place, types: ValueTypes) -> str:
        notation = self._notation
        bounds = counts(node, at, "minItems", "maxItems")
        least, most = bounds.get("minItems", 0), bounds.get("maxItems")
        if not least and not notation.can_be_empty("array", types):
            least = 1
        if most != 0 and not notation.can_be("array", types):
            at.refuse("lists where no object is allowed", sorted(types))
        if most is not None and most < least:
            at.refuse("a list that can be told from text", sorted(types))
        if most == 0:
            return notation.listed("")
        items = node.get("items", True)
        if items is False or isinstance(items, list):
            at.refuse("items of one schema that something fits", items)
        item = notation.item(self._value(items, at / "items", types.item()))
        upper = "" if most is None else most - 1
        more = f"({self._between} {item}){{{max(0, least - 1)},{upper}}}"
        whole = f"{item} {more}"
        return notation.listed(whole if least else f"({whole})?")

    def _object(
        self,
        node: Mapping[str, Any],
        at: Place,
        member: Member,
        types: ValueTypes,
        *,
        has_ends: bool,
    ) -> str:
        notation = self._notation
        properties, patterns, others, required = shape(node, at)
        if patterns:
            (at / "patternProperties").refuse("keys that are declared", list(patterns))
        for key in required:
            if key not in properties:
                (at / "required").refuse("properties that are declared", key)
        if not properties and others is not False:
            return self._free_object(others, at, types)
        items = []
        for key, schema in properties.items():
            place = at / "properties" / key
            if schema is False and key not in required:
                continue
            if not notation.key_fits(key, types):
                place.refuse("a name that this form of calls can hold", key)
            value = self._value(schema, place, member(key))
            items.append((notation.member(key, value), key in required))
        if has_ends and not required and not notation.can_be_empty("object", types):
            at.refuse("an object with a required property", sorted(properties))
        terms = sequence(self.rules, self._new(), items, self._between)
        return notation.mapped(terms) if has_ends else terms

    def _free_object(self, others: Any, at: Place, types: ValueTypes) -> str:
        """Return an object with any keys."""
        notation = self._notation
        if not notation.has_free_keys:
            at.refuse("an object whose keys are declared", others)
        others = True if others is None else others
        value = self._value(others, at / "additionalProperties", types)
        pair = notation.free_member(value)
        return notation.mapped(f"({pair} ({self._between} {pair})*)?")

    def _target(self, node: Any, at: Place) -> tuple[Any, Place]:
        """Return the target of a schema that is a reference alone, and its place."""
        for _ in range(20):
            if not isinstance(node, Mapping) or "$ref" not in node:
                return node, at
            if rest := node.keys() & (ASSERTIONS - {"$ref"}):
                at.refuse("$ref alone, without other keywords", sorted(rest))
            target = self._references.find(node["$ref"], at)
            node, at = target.node, Place(self._argument, target.pointer)
        at.refuse("a reference that ends", "a circle")

    def _resolved(self, node: Any) -> Any:
        return self._references.resolved(node, Place(self._argument))

    def _either(self, written: Sequence[str]) -> str:
        return written[0] if len(written) == 1 else f"({' | '.join(written)})"

    @property
    def _between(self) -> str:
        return json.dumps(self._notation.between) if self._notation.between else ""

    def _new(self) -> str:
        self._n_rules += 1
        return f"{self._name}_{self._n_rules}"


def _plain(value: Any) -> str:
    """Return a text that only equal values have in common."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
