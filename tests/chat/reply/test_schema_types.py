"""The types of parameters, whatever the schema's way of stating them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.chat.reply.schema_types import parameter_types
from llamacy.chat.reply.tool_call_tags import typed_value

DEFS: Any = {
    "Span": {"type": "object", "properties": {}},
    "Limit": {"type": "integer"},
    "Loop": {"$ref": "#/$defs/Loop"},
    "Tree": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]},
    "a/b~c": {"$ref": "#/$defs/Limit"},
    "List": {"items": {}},
    "Choice": {"enum": ["a", 1]},
}


def types(schema: object) -> set[str]:
    parameters = {"type": "object", "properties": {"x": schema}, "$defs": DEFS}
    tool = {"function": {"name": "f", "parameters": parameters}}
    return set(parameter_types([tool])["f"]["x"])


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, {"string"}),
        ({"type": ["string", "null"]}, {"string", "null"}),
        ({"type": "string", "nullable": True}, {"string", "null"}),
        ({"$ref": "#/$defs/Span"}, {"object"}),
        ({"$ref": "#/$defs/Span", "description": "d"}, {"object"}),
        ({"$ref": "#/$defs/a~1b~0c"}, {"integer"}),
        ({"$ref": "#/%24defs/a~1b~0c"}, {"integer"}),
        ({"$ref": "#/properties/x"}, set()),
        ({"$ref": "#/$defs/Loop"}, set()),
        ({"$ref": "#/$defs/Tree"}, {"null"}),
        ({"$ref": "#/$defs/missing"}, set()),
        ({"$ref": "https://example.org/"}, set()),
        ({"allOf": [{"$ref": "#/$defs/Span"}]}, {"object"}),
        ({"allOf": [{"$ref": "#/$defs/Limit"}, {"minimum": 3}]}, {"integer"}),
        ({"allOf": [{"type": ["string", "integer"]}, {"enum": [1]}]}, {"integer"}),
        ({"anyOf": [{"$ref": "#/$defs/Limit"}, {"type": "null"}]}, {"integer", "null"}),
        ({"oneOf": [{"$ref": "#/$defs/List"}, {"const": "a"}]}, {"array", "string"}),
        ({"enum": [1, 2]}, {"integer", "number"}),
        ({"const": None}, {"null"}),
        ({"$ref": "#/$defs/Choice"}, {"string", "integer", "number"}),
        ({"properties": {"a": {}}}, {"object"}),
        ({}, set()),
        (5, set()),
        (True, set()),
    ],
)
def test_the_types_of_a_schema(schema: object, expected: set[str]) -> None:
    assert types(schema) - {"number"} == expected - {"number"}


def test_properties_may_come_from_a_reference() -> None:
    inner = {"properties": {"n": {"type": "integer"}}}
    for parameters in (
        {"$ref": "#/$defs/P", "$defs": {"P": inner}},
        {"allOf": [inner, {"properties": {"s": {"type": "string"}}}]},
    ):
        tool: Any = {"function": {"name": "f", "parameters": parameters}}
        assert set(parameter_types([tool])["f"]["n"]) == {"integer"}


def test_many_branches_take_bounded_work() -> None:
    schema: Any = {"type": "integer"}
    for _ in range(40):
        schema = {"anyOf": [schema, schema], "allOf": [schema, schema]}
    assert types(schema) <= {"integer"}


SCHEMAS = st.recursive(
    st.sampled_from([{"type": "integer"}, {"$ref": "#/$defs/Tree"}, {}, 5, None]),
    lambda inner: st.builds(
        lambda key, items: {key: items},
        st.sampled_from(["anyOf", "allOf", "oneOf", "enum", "type", "$ref"]),
        st.lists(inner, max_size=3) | inner,
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(SCHEMAS, st.text("[]{}\"'truenl,: 10\\", max_size=20))
def test_any_schema_gives_types_and_any_text_a_value(schema: object, text: str) -> None:
    found = typed_value(text, frozenset(types(schema)))
    assert isinstance(found, str | int | float | list | dict | None)


@pytest.mark.parametrize(
    ("text", "kinds", "value"),
    [
        ("{'a': [True, None,],}", {"object"}, {"a": [True, None]}),
        ('["a"]', {"array"}, ["a"]),
        ("'a'", {"object", "null"}, "'a'"),
        ("9" * 5000, {"integer"}, "9" * 5000),
    ],
)
def test_pythons_lists_and_dicts_are_values(
    text: str, kinds: set[str], value: Any
) -> None:
    assert typed_value(text, frozenset(kinds)) == value
