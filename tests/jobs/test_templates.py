"""Templates name columns and nothing else."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

import llamacy
from llamacy.jobs.templates import Template


@pytest.mark.parametrize(
    ("source", "fields", "text"),
    [
        ("a {x} b", {"x": "1"}, "a 1 b"),
        ("{{x}} {x}{x}", {"x": "{y}"}, "{x} {y}{y}"),
        ("{}}}{{".replace("{}", "{x}"), {"x": ""}, "}{"),
        (
            "{a.b} {c[0]} {d!r} {e:>3}",
            {"a.b": 1, "c[0]": 2, "d!r": 3, "e:>3": 4},
            "1 2 3 4",
        ),
        ("{a b}\n", {"a b": "\N{SNOWMAN}"}, "\N{SNOWMAN}\n"),
        ("{n} {t}", {"n": 2**53 + 1, "t": True}, "9007199254740993 true"),
        ("{f} {l}", {"f": 0.1, "l": [1, "é"]}, '0.1 [1, "é"]'),
        ("{d}", {"d": datetime.date(2024, 1, 2)}, "2024-01-02"),
    ],
)
def test_fields_take_the_places_of_names(
    source: str, fields: dict[str, Any], text: str
) -> None:
    assert Template(source, "prompt").text(fields) == text


@pytest.mark.parametrize("source", ["{", "}", "a {x", "x} b", "{x{y}}", "{}", 3])
def test_braces_are_closed_or_doubled(source: Any) -> None:
    with pytest.raises(llamacy.ArgumentError, match="prompt: wanted"):
        Template(source, "prompt")


def test_no_name_reaches_beyond_the_row() -> None:
    hostile = "{x.__class__} {x[0]} {x!r} {__builtins__} {self}"
    template = Template(hostile, "prompt")
    with pytest.raises(llamacy.ArgumentError, match=r"prompt: no column 'x.__class__'"):
        template.check(["x"])
    with pytest.raises(llamacy.ArgumentError, match="no such field"):
        template.text({"x": "text"})


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(
        llamacy.ArgumentError, match="'temprature'; did you mean temperature?"
    ):
        Template("{temprature}", "prompt").check(["city", "temperature"])


@pytest.mark.parametrize(
    ("value", "message"), [(None, "found null"), ("\udcff", "not a text of Unicode")]
)
def test_a_field_that_is_no_text_is_the_rows_error(value: Any, message: str) -> None:
    with pytest.raises(llamacy.ArgumentError, match=f"'x': .*{message}"):
        Template("{x}", "prompt").text({"x": value})
