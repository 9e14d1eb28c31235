"""The options that ask for a form: their shapes, their checks, and OpenAI's."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

import llamacy
from llamacy import ArgumentError, ConstraintError, SamplingParams
from tests.support.structured import demo_compiler, form

SCHEMA = {"type": "object", "properties": {"b": {}, "a": {}}}


def test_a_schema_keeps_the_order_of_its_keys() -> None:
    found = form(json_schema=MappingProxyType(SCHEMA))
    assert found.source == json.dumps(SCHEMA)
    assert (found.kind, found.is_lenient) == ("json", False)
    assert form(json_schema=SCHEMA, json_schema_lenient=True).is_lenient


@pytest.mark.parametrize(
    "given",
    [
        {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        {"type": "json_object", "schema": SCHEMA},
    ],
)
def test_response_formats_of_openai_and_llama_cpp_hold_a_schema(
    given: dict[str, Any],
) -> None:
    assert form(response_format=given).source == json.dumps(SCHEMA)


def test_a_response_format_may_ask_for_any_object_or_for_nothing() -> None:
    assert SamplingParams(response_format={"type": "text"}).form is None
    assert form(response_format={"type": "json_object"}).source == '{"type": "object"}'


def test_a_pydantic_class_or_adapter_gives_its_schema_and_parses_the_text() -> None:
    pydantic = pytest.importorskip("pydantic")
    adapter = pydantic.TypeAdapter(list[int])
    assert json.loads(form(json_schema=adapter).source)["items"] == {"type": "integer"}
    model = pydantic.create_model("M", n=(int, ...))
    for name in ("json_schema", "response_format"):
        found = form(**{name: model})
        assert json.loads(found.source)["required"] == ["n"]
        assert found.parser is model


def test_a_class_that_no_schema_describes_is_refused() -> None:
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("M", call=(Callable[[], int], ...))
    for given in (model, pydantic.TypeAdapter(Callable[[], int])):
        with pytest.raises(ConstraintError, match="json_schema: wanted a JSON schema"):
            SamplingParams(json_schema=given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"regex": "a", "grammar": "b"}, "grammar: wanted one of .*, found regex too"),
        ({"json_schema": "{}"}, "json_schema: wanted a JSON schema as a dict"),
        ({"json_schema": {"const": {1, 2}, "x": b"a"}}, "json_schema: wanted JSON"),
        ({"json_schema": {}, "json_schema_lenient": 1}, "json_schema_lenient: wanted"),
        ({"response_format": {"type": "xml"}}, r"response_format\['type'\]: wanted"),
        ({"response_format": {"type": "json_schema"}}, r"\['json_schema'\]: wanted"),
        ({"choices": "ab"}, "choices: wanted a list of texts"),
        ({"choices": []}, "choices: wanted at least one text"),
        ({"choices": ["a", ""]}, "choices: wanted non-empty text"),
        ({"regex": ""}, "regex: wanted non-empty text"),
        ({"regex": 3}, "regex: wanted non-empty text, found 3"),
        ({"grammar": "\ud800"}, "grammar: wanted Unicode text"),
    ],
    ids=str,
)
def test_bad_options_are_refused_by_name(options: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        SamplingParams(**options)


def test_params_with_a_form_can_be_hashed_compared_and_pickled() -> None:
    params = SamplingParams(json_schema=SCHEMA, temperature=0)
    assert pickle.loads(pickle.dumps(params)) == params
    assert hash(params) == hash(SamplingParams(json_schema=SCHEMA, temperature=0))
    tuples = SamplingParams(choices=("a",))
    for choices in (["a"], {"a"}, {"a": 1}.keys()):
        assert SamplingParams(choices=choices) == tuples
        assert hash(SamplingParams(choices=choices)) == hash(tuples)


def test_without_llguidance_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with llamacy.load("demo") as model:
        with pytest.raises(llamacy.MissingPackageError, match="llguidance>=1.9"):
            model.generate("Once", regex="a")
        assert model.generate("Once", max_tokens=1, temperature=0).tokens


def test_an_old_llguidance_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("llguidance")
    monkeypatch.setattr(package, "__version__", "1.3.0")
    with pytest.raises(llamacy.MissingPackageError, match="found 1.3.0"):
        demo_compiler.__wrapped__()
