"""Fields of requests: each is read, ignored by name, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.errors import ArgumentError, UnknownOptionError
from llamacy.protocols.fields import Fields, field_at_fault


def test_null_is_a_field_that_was_left_out() -> None:
    fields = Fields({"a": None, "b": 0})
    assert (fields.take("a", 1), fields.take("b", 1), fields.take("c", 1)) == (1, 0, 1)
    fields.finish()


def test_fields_that_nobody_took_are_refused_with_a_hint() -> None:
    fields = Fields({"temperature": 1, "temprature": 1, "colour": 1})
    fields.take("temperature")
    fields.ignore(["colour"])
    with pytest.raises(UnknownOptionError, match="did you mean temperature"):
        fields.finish()


def test_unknown_fields_may_have_any_name() -> None:
    with pytest.raises(UnknownOptionError) as caught:
        Fields({"x" * 10_000: 1}).finish()
    assert len(str(caught.value)) < 200


def test_fields_within_are_named_by_their_path() -> None:
    fields = Fields({"options": {"sizes": 1}})
    with pytest.raises(UnknownOptionError, match=r"options\.sizes: unknown"):
        fields.inner("options").finish()
    assert Fields({}).inner("options").take("sizes") is None
    with pytest.raises(ArgumentError, match="options: wanted a JSON object, found 3"):
        Fields({"options": 3}).inner("options")


def test_a_field_is_refused_unless_its_value_changes_nothing() -> None:
    Fields({"suffix": ""}).refuse("suffix", "no", ("",))
    Fields({}).refuse("suffix", "no")
    with pytest.raises(ArgumentError, match="suffix: no, found 'x'"):
        Fields({"suffix": "x"}).refuse("suffix", "no", ("",))


def test_flags_texts_and_lists_are_checked_and_may_be_left_out() -> None:
    fields = Fields({"on": True, "name": "x", "tools": [1]})
    assert (fields.flag("on", False), fields.flag("off", False)) == (True, False)
    assert (fields.text("name"), fields.text("none")) == ("x", None)
    assert (fields.items("tools"), fields.items("none")) == ([1], [])
    fields = Fields({"options": {"wrong": 0}}).inner("options")
    with pytest.raises(ArgumentError, match=r"options\.wrong: wanted True or False"):
        fields.flag("wrong", False)
    with pytest.raises(ArgumentError, match=r"options\.wrong: wanted a string"):
        fields.text("wrong")
    with pytest.raises(ArgumentError, match=r"options\.wrong: wanted a list"):
        fields.items("wrong")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("n: wanted less", "n"),
        ("stream_options.include_usage: wanted True", "stream_options.include_usage"),
        ("messages[3]['role']: wanted a string", "messages[3].role"),
        ("messages[0]['tool_calls'][1]: wanted", "messages[0].tool_calls[1]"),
        ("the model is closed", None),
        ("https://example.org", None),
        ("", None),
    ],
)
def test_errors_name_the_field_at_fault(message: str, field: str | None) -> None:
    assert field_at_fault(message) == field


@pytest.mark.parametrize("body", [None, [], "text", 3, True])
def test_a_body_is_an_object(body: Any) -> None:
    with pytest.raises(ArgumentError, match="wanted a JSON object"):
        Fields(body)
