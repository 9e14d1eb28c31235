"""Objects that are written anew while they arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.chat.reply.json_text import ObjectWriter

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from(['"', "\\", "\n\x00\u2028", "\U0001f600", "a" * 40]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=4)


def dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


@given(objects, st.booleans(), st.sampled_from([None, 0, 2]), st.integers(1, 9))
@settings(max_examples=150, deadline=None)
def test_an_object_is_written_as_it_is_dumped(
    value: dict[str, Any], is_ascii: bool, indent: int | None, n: int
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent) + " behind"
    writer, written = ObjectWriter(), ""
    for at in range(0, len(text), n):
        written += writer.push(text[at : at + n])
        assert dumped(value).startswith(written)
    assert (writer.is_over, writer.is_broken) == (True, False)
    assert written + "}" == dumped(value)
    assert writer.left.strip().endswith("behind"[-n:])


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('{"a": "x\ny', '{"a": "x\\ny'),  # strings of several lines
        ('{"a": 1e3, "b": -0}', '{"a": 1000.0, "b": 0'),
        ("{'a': 1}", "{"),
        ('{"a": True, "b": 1}', '{"a": '),
        ('{"a": 1,}', '{"a": 1'),
        ('{"a": 1, "a": 2}', '{"a": 1'),
        ('{"a": 1]', '{"a": 1'),
        ('{"a": 01}', '{"a": '),
        ('{"a": 1e9999}', '{"a": '),
        ('{"a": -1.5e400, "b": ', '{"a": -15' + "0" * 399 + ', "b": '),
        ('{"a": NaN}', '{"a": '),
        ('{"a" 1}', '{"a"'),
        ('{"a": 1 "b": 2}', '{"a": 1'),
        ('{"a": "\\x"}', '{"a": "'),
        ('{"a": "\\ud83d"}  ', '{"a": "'),  # half a pair
        ('{"a": "\\ud83d\\u0041"}', '{"a": "'),
        ('{"a": "\\udc00"}', '{"a": "'),
        ('{"\\ud83d": 1}', "{"),
        ('{"a": ' + "9" * 2000 + "}", '{"a": '),
        ('{"' + "k" * 2000, "{"),
    ],
)
def test_what_is_not_certain_is_held_back(text: str, written: str) -> None:
    for n in (1, len(text)):
        writer = ObjectWriter()
        parts = [writer.push(text[at : at + n]) for at in range(0, len(text), n)]
        assert "".join(parts) == written
