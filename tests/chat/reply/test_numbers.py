"""Numbers of calls that no float holds."""

from __future__ import annotations

import json

import pytest

from llamacy.chat.reply.literals import LiteralReader
from llamacy.chat.reply.numbers import real
from llamacy.chat.reply.tool_call_gemma import quoted
from llamacy.chat.reply.tool_call_json import arguments_of, checked_arguments
from llamacy.chat.reply.tool_call_tags import typed_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e999", 10**999),
        ("-2.5E+400", -25 * 10**399),
        ("1e4299", 10**4299),
        ("9" * 400 + ".5", 10**400 - 1),
        ("1e-999", 0.0),
        ("6.02e23", 6.02e23),
        ("1e308", 1e308),
    ],
)
def test_numbers_beyond_floats_are_integers(text: str, value: float) -> None:
    """However calls are written; and they are the same when they are sent back."""
    found = [
        real(text),
        arguments_of(f'{{"a": {text}}}')["a"],
        LiteralReader(text).value(),
        quoted(f"call:f{{a:{text}}}")[0].arguments["a"],
        typed_value(text, frozenset(["number"])),
    ]
    for each in found:
        assert (each, type(each)) == (value, type(value))
    again = json.dumps(checked_arguments({"a": found[0]}))
    assert arguments_of(again) == {"a": value}


@pytest.mark.parametrize(
    "text", ["1e4300", "1e99999999999999999999", "9" * 4301 + ".0", "-1E+5000"]
)
def test_longer_numbers_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a number has more than 4300 digits"):
        arguments_of(f'{{"a": {text}}}')
