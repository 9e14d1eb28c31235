"""Schemas of the kinds that people write, with texts that follow them and do not."""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Case(NamedTuple):
    """A schema, valid texts, and invalid or unwanted ones; or words of the refusal."""

    name: str
    schema: Any
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    refused: str = ""


def closed(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """Return a schema of objects with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


INT: Final = {"type": "integer"}
NUM: Final = {"type": "number"}
STR: Final = {"type": "string"}
NULL: Final = {"type": "null"}

OPENAI: Final = (
    Case(
        "steps of a solution",
        {
            "type": "object",
            "properties": {
                "steps": {
                    "type": "array",
                    "items": closed(explanation=STR, output=STR),
                },
                "final_answer": STR,
            },
            "required": ["steps", "final_answer"],
            "additionalProperties": False,
        },
        ('{"steps": [], "final_answer": "x"}',),
        ('{"final_answer": "x", "steps": []}', '{"steps": []}'),
    ),
    Case(
        "optional by null",
        closed(name=STR, age={"type": ["integer", "null"]}),
        ('{"name": "a", "age": null}', '{"name": "a", "age": 3}'),
        ('{"name": "a"}', '{"name": "a", "age": "3"}'),
    ),
    Case(
        "recursion by #",
        {
            "type": "object",
            "properties": {
                "label": {"enum": ["div", "p"]},
                "children": {"type": "array", "items": {"$ref": "#"}},
            },
            "required": ["label", "children"],
            "additionalProperties": False,
        },
        (
            '{"label": "div", "children": [{"label": "p", "children": []}]}',
            '{"label": "p", "children": []}',
        ),
        ('{"label": "a", "children": []}',),
    ),
    Case(
        "recursion by $defs",
        {
            "type": "object",
            "properties": {"list": {"$ref": "#/$defs/node"}},
            "$defs": {
                "node": closed(
                    value=NUM, next={"anyOf": [{"$ref": "#/$defs/node"}, NULL]}
                )
            },
            "required": ["list"],
            "additionalProperties": False,
        },
        ('{"list": {"value": 1.5, "next": {"value": 2, "next": null}}}',),
        ('{"list": {"value": 1, "next": 2}}',),
    ),
    Case(
        "anyOf of objects",
        closed(item={"anyOf": [closed(name=STR), closed(street=STR, number=INT)]}),
        ('{"item": {"name": "x"}}', '{"item": {"street": "x", "number": 3}}'),
        ('{"item": {"name": "x", "number": 3}}',),
    ),
    Case(
        "numbers within bounds",
        closed(t={"type": "number", "minimum": -130, "maximum": 130}),
        ('{"t": 36.6}', '{"t": -130}'),
        ('{"t": 131}', '{"t": 1e2}'),
    ),
    Case(
        "array of a size",
        closed(tags={"type": "array", "items": STR, "minItems": 1, "maxItems": 2}),
        ('{"tags": ["a"]}', '{"tags": ["a", "b"]}'),
        ('{"tags": []}', '{"tags": ["a", "b", "c"]}'),
    ),
    Case(
        "pattern and format",
        closed(
            user={"type": "string", "pattern": "^[a-zA-Z0-9_]+$"},
            mail={"type": "string", "format": "email"},
        ),
        ('{"user": "al_1", "mail": "al@b.org"}',),
        ('{"user": "al 1", "mail": "al@b.org"}', '{"user": "al", "mail": "al"}'),
    ),
    Case(
        "long enum",
        closed(code={"enum": [f"ZONE-{i:04}" for i in range(1000)]}),
        ('{"code": "ZONE-0999"}',),
        ('{"code": "ZONE-1000"}',),
    ),
)

TOOLS: Final = (
    Case(
        "parameters without a word",
        {"type": "object", "properties": {}},
        ("{}", '{"a": 1}'),
    ),
    Case("parameters of none", closed(), ("{}",), ('{"a": 1}', "{ }")),
    Case(
        "optional parameters",
        {
            "type": "object",
            "properties": {"path": STR, "head": INT, "tail": INT},
            "required": ["path"],
        },
        ('{"path": "a"}', '{"path": "a", "tail": 3}'),
        ('{"head": 3}', '{"path": "a", "tail": 3, "head": 3}', '{"path": "a", "x": 1}'),
    ),
    Case(
        "filesystem edit",
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "path": STR,
                "edits": {
                    "type": "array",
                    "items": closed(
                        oldText={**STR, "description": "Text to search for"},
                        newText=STR,
                    ),
                },
                "dryRun": {"type": "boolean", "default": False},
            },
            "required": ["path", "edits"],
            "additionalProperties": False,
        },
        (
            '{"path": "a\\nb", "edits": [{"oldText": "\\"", "newText": ""}]}',
            '{"path": "a", "edits": [], "dryRun": true}',
        ),
        ('{"path": "a", "edits": [], "dryRun": "true"}',),
    ),
    Case(
        "labels of any name",
        closed(labels={"type": "object", "additionalProperties": STR}),
        ('{"labels": {"a": "b", "c": "d"}}', '{"labels": {}}'),
        ('{"labels": {"a": 1}}',),
    ),
    Case(
        "vendor keywords",
        closed(
            q={
                **STR,
                "x-order": 1,
                "example": "a",
                "propertyOrdering": ["q"],
                "nullable": True,
                "format": "password",
            }
        ),
        ('{"q": "a"}',),
        ('{"q": null}',),
    ),
    Case(
        "draft 4",
        closed(n={**INT, "minimum": 3, "exclusiveMinimum": True}),
        ('{"n": 4}',),
        ('{"n": 3}',),
    ),
    Case(
        "items as a list",
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "array",
            "items": [INT, STR],
            "additionalItems": False,
        },
        ("[]", '[1, "a"]'),
        ('["a"]', '[1, "a", 2]'),
    ),
    Case(
        "definitions",
        {
            "definitions": {"a/b": INT},
            "type": "object",
            "properties": {"n": {"$ref": "#/definitions/a~1b"}},
        },
        ('{"n": 1}',),
        ('{"n": "1"}',),
    ),
    Case(
        "reference by anchor and to a property",
        {
            "type": "object",
            "properties": {"a": {"$anchor": "here", **INT}, "b": {"$ref": "#here"}},
            "required": ["a", "b"],
        },
        ('{"a": 1, "b": 2}',),
        ('{"a": 1, "b": "2"}',),
    ),
)

PYDANTIC: Final = (
    Case(
        "tagged union",
        {
            "$defs": {
                "Cat": {
                    "properties": {
                        "kind": {"const": "cat", "default": "cat", "type": "string"},
                        "lives": INT,
                    },
                    "required": ["lives"],
                    "type": "object",
                },
                "Dog": {
                    "properties": {
                        "kind": {"const": "dog", "default": "dog", "type": "string"},
                        "name": STR,
                    },
                    "required": ["name"],
                    "type": "object",
                },
            },
            "type": "object",
            "properties": {
                "pet": {
                    "discriminator": {"propertyName": "kind"},
                    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}],
                }
            },
            "required": ["pet"],
        },
        (
            '{"pet": {"kind": "cat", "lives": 9}}',
            '{"pet": {"kind": "dog", "name": ""}}',
        ),
        ('{"pet": {"lives": 9}}', '{"pet": {"kind": "cat", "name": ""}}'),
    ),
    Case(
        "optional field",
        {
            "properties": {
                "a": {"anyOf": [STR, NULL], "default": None, "title": "A"},
            },
            "title": "M",
            "type": "object",
        },
        ("{}", '{"a": null}', '{"a": "x"}'),
        ('{"a": 1}',),
    ),
    Case(
        "tuple",
        {
            "type": "array",
            "prefixItems": [INT, STR],
            "minItems": 2,
            "maxItems": 2,
        },
        ('[1, "a"]',),
        ("[1]", '[1, "a", 2]'),
    ),
    Case(
        "dict of a literal's keys",
        {
            "type": "object",
            "propertyNames": {"enum": ["a", "b"]},
            "additionalProperties": INT,
        },
        ('{"a": 1}', '{"a": 1, "b": 2}', "{}"),
        ('{"c": 1}', '{"a": "x"}'),
    ),
    Case(
        "dict of an enumeration's keys",
        {
            "$defs": {"Color": {"enum": ["red", "blue"], "type": "string"}},
            "type": "object",
            "propertyNames": {"$ref": "#/$defs/Color"},
            "additionalProperties": NUM,
        },
        ('{"blue": 0.5}',),
        ('{"green": 1}',),
    ),
    Case(
        "dict of patterned keys",
        {"type": "object", "patternProperties": {"^id_": INT}},
        ('{"id_a": 1}', '{"other": []}'),
        ('{"id_a": "x"}',),
    ),
    Case("set", {"type": "array", "items": STR, "uniqueItems": True}, refused="#/uniq"),
    Case(
        "constrained types",
        closed(
            n={**INT, "exclusiveMinimum": 0},
            x={**NUM, "multipleOf": 0.5},
            s={**STR, "minLength": 2, "maxLength": 3},
        ),
        ('{"n": 1, "x": 1.5, "s": "ab"}', '{"n": 1, "x": 2, "s": "\\n\\n"}'),
        ('{"n": 0, "x": 1.5, "s": "ab"}', '{"n": 1, "x": 1.3, "s": "ab"}'),
    ),
    Case(
        "dates",
        closed(
            d={**STR, "format": "date"},
            t={**STR, "format": "date-time"},
            u={**STR, "format": "uuid"},
        ),
        (
            '{"d": "2024-02-29", "t": "2024-01-01T00:00:00Z", '
            '"u": "123e4567-e89b-12d3-a456-426614174000"}',
        ),
    ),
    Case(
        "29 February", {**STR, "format": "date"}, ('"2000-02-29"',), ('"2023-02-29"',)
    ),
    Case("century", {**STR, "format": "date"}, ('"1996-02-29"',), ('"1900-02-29"',)),
    Case("30 February", {**STR, "format": "date"}, (), ('"2024-02-30"',)),
    Case("year 0", {**STR, "format": "date"}, ('"0001-01-01"',), ('"0000-01-01"',)),
    Case(
        "date by a pattern",
        {**STR, "format": "date", "pattern": "^2"},
        ('"2023-12-31"',),
        ('"1999-12-31"', '"2023-02-29"'),
    ),
    Case("any value", {}, ("{}", "[1, null]", '"x"'), ("{", "01")),
    Case("true", True, ("5", "null")),
)

COMBINED: Final = (
    Case(
        "allOf of one",
        closed(a={"allOf": [{"$ref": "#/$defs/i"}], "description": "x"})
        | {"$defs": {"i": INT}},
        ('{"a": 1}',),
        ('{"a": "1"}',),
    ),
    Case(
        "allOf of objects",
        {
            "allOf": [
                {"type": "object", "properties": {"a": INT}, "required": ["a"]},
                {"type": "object", "properties": {"b": INT}, "required": ["b"]},
            ]
        },
        ('{"a": 1, "b": 2}',),
        ('{"a": 1}', '{"b": 2}'),
    ),
    Case(
        "allOf of bounds",
        {"allOf": [{**INT, "minimum": 3}, {"maximum": 5}]},
        ("4",),
        ("6", "2", '"x"'),
    ),
    Case(
        "anyOf beside properties",
        {
            "type": "object",
            "properties": {"a": INT, "b": INT},
            "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
        },
        ('{"a": 1}', '{"b": 1}'),
        ("{}",),
    ),
    Case(
        "oneOf of constants",
        {"oneOf": [{"const": 1, "title": "one"}, {"const": 2, "title": "two"}]},
        ("1", "2"),
        ("3",),
    ),
    Case("oneOf of types", {"oneOf": [INT, STR, NULL]}, ("1", '"a"', "null"), ("1.5",)),
    Case(
        "oneOf of closed objects",
        {"oneOf": [closed(a=INT), closed(b=INT)]},
        ('{"a": 1}', '{"b": 1}'),
        ('{"a": 1, "b": 1}',),
    ),
    Case(
        "oneOf told apart by the key of no letters",
        {
            "oneOf": [
                {"type": "object", "properties": {"": {"const": 1}}},
                {"type": "object", "properties": {"": {"const": 2}}},
            ]
        },
        ('{"": 1}', '{"": 2}'),
        ("{}", '{"": 3}'),
    ),
    Case("oneOf that overlaps", {"oneOf": [INT, NUM]}, refused="#/oneOf"),
    Case(
        "oneOf of open objects",
        {"oneOf": [{"properties": {"a": INT}}, {"properties": {"b": INT}}]},
        refused="#/oneOf",
    ),
    Case(
        "reference with siblings",
        {"$ref": "#/$defs/n", "maximum": 5, "$defs": {"n": {**INT, "minimum": 3}}},
        ("4",),
        ("2", "6"),
    ),
    Case(
        "required but not declared",
        {"type": "object", "properties": {"a": INT}, "required": ["a", "z"]},
        ('{"a": 1, "z": null}',),
        ('{"a": 1}', '{"a": 1, "z": 1, "y": 2}'),
    ),
    Case(
        "type left out",
        {"properties": {"a": INT}, "required": ["a"]},
        ('{"a": 1}',),
        ("5", "{}"),
    ),
    Case(
        "constants of all types",
        {"enum": [None, True, 1, 1.5, "x\n\u00e9", [1, {"a": 2}]]},
        ("null", "true", "1", "1.5", '"x\\n\u00e9"', '[1, {"a": 2}]'),
        ("false", '"x"'),
    ),
    Case(
        "closed by unevaluatedProperties",
        {
            "type": "object",
            "properties": {"a": INT},
            "unevaluatedProperties": False,
        },
        ('{"a": 1}', "{}"),
        ('{"b": 1}',),
    ),
    Case(
        "least number of keys",
        closed([], a=INT, b=INT) | {"minProperties": 1},
        ('{"a": 1}', '{"b": 1}'),
        ("{}",),
    ),
    Case(
        "int64",
        {**INT, "minimum": -(2**63), "maximum": 2**63 - 1},
        ("123456789012345678", "-5"),
        ("9223372036854775808",),
    ),
)

REFUSED: Final = (
    Case("not", closed(a={"not": STR}), refused="#/properties/a/not"),
    Case(
        "if", {"if": {"required": ["a"]}, "then": {"required": ["b"]}}, refused="#/if"
    ),
    Case("contains", {"type": "array", "contains": {}}, refused="#/contains"),
    Case(
        "dependentRequired",
        {"type": "object", "dependentRequired": {"a": ["b"]}},
        refused="#/dependentRequired",
    ),
    Case("unknown format", {**STR, "format": "phone"}, refused="#/format"),
    Case("misspelt", {**STR, "maxlength": 3}, refused="the keyword maxLength"),
    Case("snake case", {"type": "array", "min_items": 3}, refused="keyword minItems"),
    Case(
        "constant beyond 2**53",
        closed(a={"const": 2**53 + 1}),
        refused="#/properties/a",
    ),
    Case("enum beyond 2**53", {"enum": [1, 12345678901234567890]}, refused="#/enum/1"),
    Case("constant of 400 digits", {"const": 10**400}, refused="#/const"),
    Case("multiple of 400 digits", {"multipleOf": 10**400}, refused="#/multipleOf"),
    Case(
        "alternatives of one tag, required in no list",
        {
            "oneOf": [
                {"properties": {"a": {"const": 1}}, "required": 1},
                {"properties": {"a": {"const": 2}}},
            ]
        },
        refused="#/oneOf/0/required",
    ),
    Case(
        "names by no pattern",
        {"type": "object", "propertyNames": {"pattern": 5}},
        refused="json_schema: #/propertyNames/pattern",
    ),
    Case("control character", {"const": "a\x00"}, refused="#/const"),
    Case("look-ahead", closed(a={**STR, "pattern": "(?=a)"}), refused="#/properties/a"),
    Case("elsewhere", {"$ref": "https://example.org/a.json"}, refused="nothing is fet"),
    Case("nowhere", {"$ref": "#/$defs/a"}, refused="#/$ref"),
    Case("circle", {"$ref": "#"}, refused="leads to itself"),
    Case("no type", {"type": "int"}, refused="#/type"),
    Case("empty enum", {"enum": []}, refused="#/enum"),
    Case("impossible", False, refused="something fits"),
    Case("empty range", {**INT, "minimum": 5, "maximum": 3}, refused="at least 5"),
    Case(
        "impossible property",
        closed(a={**INT, "enum": ["x"]}),
        refused="#/properties/a",
    ),
    Case(
        "impossible property by one of allOf",
        closed(a={"allOf": [{**INT, "enum": ["x"]}]}),
        refused="#/properties/a",
    ),
    Case(
        "impossible by a pattern",
        {
            "type": "object",
            "properties": {"xa": STR},
            "patternProperties": {"^x": INT},
            "additionalProperties": False,
        },
        refused="#/properties/xa",
    ),
    Case(
        "keys that may be repeated",
        {"type": "object", "minProperties": 2},
        refused="#/minProperties",
    ),
)

CASES: Final = (*OPENAI, *TOOLS, *PYDANTIC, *COMBINED, *REFUSED)
