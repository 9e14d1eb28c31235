"""Arguments in the notations of Gemma 4, of MiniMax M3 and of tags, read again."""

from __future__ import annotations

import random
from typing import Any

import pytest

import llamacy
from llamacy.chat.constrained.elements import Elements
from llamacy.chat.constrained.lark import Marks
from llamacy.chat.constrained.notations import Braces
from tests.chat.constrained.test_tools import ask
from tests.chat.reply.test_known_styles import FAMILIES
from tests.support.walked_calls import Walks

pytest.importorskip("llguidance")
jsonschema = pytest.importorskip("jsonschema")

TEXT: Any = {"type": "string"}
INTEGER: Any = {"type": "integer"}
SMALL: Any = {"type": "integer", "maximum": 5}


def closed(required: list[str] | None = None, /, **properties: Any) -> Any:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def list_of(items: Any, **keywords: Any) -> Any:
    return {"type": "array", "items": items, **keywords}


TREE = closed(["v"], v=TEXT, c=list_of({"$ref": "#/$defs/T"}, maxItems=2))
SCHEMAS: Any = {
    "texts": closed(a=TEXT, b={"type": "string", "minLength": 1, "maxLength": 4}),
    "optional": closed([], a=TEXT, b=INTEGER, c={"type": "null"}),
    "nothing": {"type": "object", "properties": {}},
    "text constants": closed(a={"enum": ["x", 'q"', "<|", "", "\u00e9", "a b"]}),
    "constants read as others": closed(a={"enum": ["5", "null", "[1]", "true"]}),
    "mixed constants": closed(a={"enum": ["x", 5, None, True, 1.5]}),
    "whole constants": closed(a={"const": [1, "x"]}, b={"const": {"k": "v"}}),
    "nested objects": closed(a=closed(b=closed(c=TEXT, d=INTEGER))),
    "lists": closed(a=list_of(TEXT), b=list_of(list_of(INTEGER, minItems=1))),
    "list of objects": closed(a=list_of(closed(x=TEXT, y={"type": "boolean"}))),
    "exact list": closed(a=list_of(TEXT, minItems=2, maxItems=2)),
    "text or null": closed(a={"anyOf": [TEXT, {"type": "null"}]}),
    "text or a small number": closed(a={"anyOf": [TEXT, SMALL]}),
    "short text or a number": closed(
        a={"anyOf": [{"type": "string", "maxLength": 9, "pattern": "x"}, SMALL]}
    ),
    "text by one of": closed(a={"oneOf": [{"type": "string", "format": "time"}]}),
    "impossible text": closed(a={"type": "string", "pattern": "^a$", "minLength": 3}),
    "text or a list": closed(a={"anyOf": [TEXT, list_of(INTEGER)]}),
    "constant or null": closed(a={"anyOf": [{"enum": ["a"]}, {"type": "null"}]}),
    "a union within": closed(a=closed(b={"anyOf": [TEXT, SMALL]})),
    "one of two types": closed(a={"oneOf": [TEXT, INTEGER]}),
    "objects that share a key": closed(
        a={
            "anyOf": [
                closed(k={"const": "x"}, v=TEXT),
                closed(k={"const": "y"}, v=INTEGER),
            ]
        }
    ),
    "numbers": closed(
        a={"type": "number", "minimum": -1, "maximum": 2},
        b={"type": "integer", "multipleOf": 3},
    ),
    "anything": closed(a={}, b={"type": "array"}),
    "any object": closed(a={"type": "object"}),
    "a table": closed(a={"type": "object", "additionalProperties": SMALL}),
    "keys like marks": closed(**{'<|"|>': TEXT, "</a>": INTEGER}),
    "keys that are no names": closed(**{"a b": TEXT, "\u00e9": SMALL, "x:y": TEXT}),
    "keys of the notation": closed(item=TEXT, invoke=closed(item=list_of(TEXT))),
    "recursion": closed(t={"$ref": "#/$defs/T"}) | {"$defs": {"T": TREE}},
    "patterns": closed(
        a={"type": "string", "pattern": "^[<a-c]{2,4}$"},
        b={"type": "string", "format": "date"},
    ),
    "nullable": closed(a={"type": "string", "nullable": True}),
    "empty text": closed(a={"type": "string", "maxLength": 0}),
    "a reference by name": closed(a={"anyOf": [{"const": "x"}, {"$ref": "#small"}]})
    | {"$defs": {"S": SMALL | {"$anchor": "small"}}},
    "a reference to a property": closed(
        b=SMALL,
        a={
            "anyOf": [{"$ref": "#/properties/b"}, {"type": "string", "pattern": "^7?$"}]
        },
    ),
    "many alternatives": closed(
        a={"anyOf": [*({"const": f"x{i}"} for i in range(1000))] + [SMALL]}
    ),
    "both enum and const": closed(a={"enum": ["a", "b"], "const": "a"}),
    "a constant of another type": closed(
        a={"anyOf": [{"type": "integer", "enum": ["x"]}, {"const": "y"}]}
    ),
    "words": closed(a={"type": "string", "pattern": r"^\w{2}$"}),
    "items one by one": closed(a={"type": "array", "items": [TEXT, INTEGER]}),
    "a reference alone": {"$ref": "#/$defs/A", "$defs": {"A": closed(b=TEXT)}},
}
# what a family refuses, with the place that the error names
REFUSED = {
    ("gemma 4", "keys like marks"): '#/properties/<|"|>',
    ("minimax 3", "keys like marks"): '#/properties/<|"|>',
    ("minimax 3", "any object"): "#/properties/a",
    ("minimax 3", "a table"): "#/properties/a",
    ("gemma 4", "impossible text"): "#/properties/a",
    ("minimax 3", "impossible text"): "#/properties/a",
    ("coder", "impossible text"): "#/properties/a",
    ("coder", "mixed constants"): "#/properties/a",
    ("coder", "keys like marks"): '#/properties/<|"|>',
    ("coder", "keys that are no names"): "#/properties/a b",
    ("coder", "a reference alone"): "#/$ref",
    ("minimax 3", "many alternatives"): "#/properties/a",
    ("coder", "many alternatives"): "#/properties/a",
    **{
        (family, name): f"#/properties/a{inner}"
        for family in ("gemma 4", "minimax 3", "coder")
        for name, inner in (
            ("both enum and const", ""),
            ("a constant of another type", "/anyOf/0"),
            ("items one by one", ""),
        )
    },
}


@pytest.fixture(scope="module")
def walks(puppet: llamacy.Model) -> Walks:
    return Walks(puppet)


@pytest.mark.parametrize("family", ["gemma 4", "minimax 3", "coder"])
@pytest.mark.parametrize("name", SCHEMAS)
def test_what_a_constraint_allows_is_read_as_valid_arguments(
    walks: Walks, family: str, name: str
) -> None:
    schema = SCHEMAS[name]
    tools = [{"function": {"name": "look", "parameters": schema}}]
    reader = walks.reader(FAMILIES[family][0], tools)
    if place := REFUSED.get((family, name)):
        with pytest.raises(llamacy.ConstraintError) as caught:
            walks.constraint(reader, tools)
        assert str(caught.value).startswith(f"tools['look']: {place}: ")
        return
    constraint = walks.constraint(reader, tools)
    valid = jsonschema.Draft202012Validator(schema)  # which checks no schema itself
    rng = random.Random(f"{family} {name}")
    for _ in range(3):
        if (text := walks.text(constraint.fork(), rng)) is None:
            continue
        reply = reader.whole(text)
        assert (reply.text, reply.bad_calls) == ("", ()), text
        assert reply.tool_calls
        for call in reply.tool_calls:
            valid.validate(call.arguments)


@pytest.mark.parametrize("notation", [Braces, Elements])
def test_a_vocabulary_without_the_mark_is_refused(
    make_tokenizer: Any, notation: type[Braces | Elements]
) -> None:
    with pytest.raises(llamacy.ConstraintError, match="with a token for"):
        notation(Marks(make_tokenizer(), ()))


@pytest.mark.parametrize("family", ["gemma 4", "minimax 3", "coder"])
def test_a_tool_that_is_not_strict_takes_any_arguments(
    puppet: llamacy.Model, family: str
) -> None:
    strict = {"name": "time", "description": "Time.", "strict": True}
    free = {"name": "look", "description": "Look.", "parameters": {"type": "object"}}
    _, said = FAMILIES[family]
    answer = ask(puppet, family, tools=[strict, free], says=said, max_tokens=600)
    assert answer.bad_calls == ()
    (call,) = answer.tool_calls
    assert (call.name, call.arguments["city"]) == ("look", 'Ro"me')


@pytest.mark.parametrize("family", ["hermes", "kimi", "lfm 2", "gemma 4", "minimax 3"])
def test_names_of_control_tokens_are_text_in_values_and_refused_as_names(
    walks: Walks, puppet: llamacy.Model, family: str
) -> None:
    """`<|im_end|>` as a token would end the answer, and `<tool_call>` begin another."""
    names = ["<|im_end|>", "<tool_call>", "[ARGS]"]
    schema = closed(a={"enum": names}, b={"const": ["<|im_end|>"]})
    tools: Any = [{"function": {"name": "look", "parameters": schema}}]
    reader = walks.reader(FAMILIES[family][0], tools)
    text = walks.text(walks.constraint(reader, tools), random.Random(0))
    assert text is not None
    reply = reader.whole(text)
    assert (reply.text, reply.bad_calls) == ("", ())
    for call in reply.tool_calls:
        jsonschema.validate(call.arguments, schema)
    for name in (*names, "a b", 'a"b', "a\\b"):
        tools[0]["function"]["name"] = name
        with pytest.raises(llamacy.ConstraintError, match="a name that calls can hold"):
            walks.constraint(walks.reader(FAMILIES[family][0], tools), tools)
    with pytest.raises(llamacy.ConstraintError, match="a name that calls can hold"):
        tool = {"name": "<|im_end|>", "description": "x"}
        ask(puppet, family, tools=[tool], tool_choice="required")
