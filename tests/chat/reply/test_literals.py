"""Values as Python writes them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.chat.reply.literals import LiteralReader

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=10,
).filter(lambda value: "inf" not in repr(value))


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_python_and_json_are_read_back(value: Any) -> None:
    for text in (repr(value), json.dumps(value), f" {value!r} "):
        reader = LiteralReader(text)
        assert reader.value() == value
        assert not text[reader.at :].strip()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("(1, 2)", [1, 2]),
        ("[1,]", [1]),
        (r'"\ud83d\ude00\x41\U0001F600"', "\U0001f600A\U0001f600"),
        ("'a\nb'", "a\nb"),
        (".5", 0.5),
        ("-1e3", -1000.0),
    ],
)
def test_forms_of_values(text: str, value: Any) -> None:
    assert LiteralReader(text).value() == value


@settings(max_examples=300, deadline=None)
@given(st.text("[](){}'\"\\ux0123,:.-+e TrueNoneab\n", max_size=30))
def test_any_other_text_raises_value_error(text: str) -> None:
    try:
        LiteralReader(text).value()
    except ValueError as error:
        assert len(str(error)) < 300


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{'a': " * 50_000,
        "f('a')",
        "a",
        "",
        r"'\q'",
        "'a",
        "b'a'",
        "{1: 2}",
    ],
)
def test_hostile_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="wanted|nested"):
        LiteralReader(text).value()


def test_names_may_have_dots() -> None:
    reader = LiteralReader(" a.b1.c(")
    assert reader.word() == "a.b1.c"
    assert reader.takes("(")
    assert reader.word() == ""
