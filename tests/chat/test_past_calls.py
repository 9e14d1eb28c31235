"""Tool calls of past messages: their arguments as objects and as text."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llamacy
from llamacy.chat.past_calls import checked_tool_calls
from llamacy.chat.template import render


def arguments(given: Any) -> Any:
    function = {"name": "f", "arguments": given}
    (call,) = checked_tool_calls("calls", [{"id": "1", "function": function}])
    return call["function"]["arguments"]


@pytest.mark.parametrize(
    ("given", "values", "text"),
    [
        ({"a": "é"}, {"a": "é"}, '{"a": "é"}'),
        ('{"a":2.0}', {"a": 2.0}, '{"a":2.0}'),
        (None, {}, "{}"),
        ("", {}, "{}"),
        ("null", {}, "{}"),
        ({}, {}, "{}"),
    ],
)
def test_arguments_are_an_object_and_its_text(
    given: Any, values: Any, text: str
) -> None:
    made = arguments(given)
    assert made == values
    assert str(made) == text


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (False, "wanted arguments as a dict or as JSON, found False"),
        (0, "as a dict or as JSON, found 0"),
        ([], r"as a dict or as JSON, found \[\]"),
        ("false", "wanted arguments as a JSON object, found 'false'"),
        ("[1]", "as a JSON object"),
        ("{'a': 1}", "wanted arguments as JSON: "),
        ('{"a": %s}' % ("9" * 5000), "wanted arguments as JSON: "),
        ({"a": 10**5000}, "arguments: Exceeds"),
        ({"a": float("inf")}, "arguments: Out of range"),
        ('{"a": NaN}', "wanted arguments as JSON: no such constant as NaN"),
        ('{"a": 1e99999}', "wanted arguments as JSON: "),
        ("[" * 100_000, "wanted arguments as JSON"),
    ],
)
def test_other_arguments_are_refused(given: Any, why: str) -> None:
    with pytest.raises(llamacy.ArgumentError, match=r"^calls\[0\]: .*" + why):
        arguments(given)


def test_a_number_beyond_floats_stays_a_number() -> None:
    written = render("{{ a | tojson }}", "model", {"a": arguments('{"x": 1e999}')})
    assert json.loads(written) == {"x": 10**999}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 'f ' + a }}", 'f {"x":1}'),
        ("{{ a + ';' }}", '{"x":1};'),
        ("{{ 'f ' ~ a }}", 'f {"x":1}'),
        ("{{ a }}", '{"x":1}'),
        ("{{ a | string | trim }}", '{"x":1}'),
        ("{{ '%s' % a }}", '{"x":1}'),
        ("{{ a | tojson }}", '{"x": 1}'),
        ("{{ a if a is string else a | tojson }}", '{"x": 1}'),
        ("{{ a is mapping }}", "True"),
        ("{% for k, v in a | items %}{{ k }}={{ v }}{% endfor %}", "x=1"),
        ("{{ a.x }}{{ a.y is defined }}", "1False"),
    ],
)
def test_a_template_takes_arguments_as_it_likes(template: str, text: str) -> None:
    assert render(template, "model", {"a": arguments('{"x":1}')}) == text


def test_a_template_cannot_copy_the_text_of_arguments_without_end() -> None:
    long = arguments('{"x":%s1}' % (" " * 10**6))
    for template in ("{{ a }}", "{% set b = '' + a %}", "{% set b = a ~ '' %}"):
        many = "{% for i in range(1000) %}" + template + "{% endfor %}"
        with pytest.raises(llamacy.ChatTemplateError, match="characters"):
            render(many, "model", {"a": long})
