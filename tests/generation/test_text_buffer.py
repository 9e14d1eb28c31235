"""Text that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamacy.generation.text_buffer import TextBuffer


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab€", max_size=30),
    st.lists(st.text("ab€", min_size=1, max_size=4), max_size=3),
    st.lists(st.integers(0, 90), max_size=12),
)
def test_where_tokens_are_cut_does_not_matter(
    text: str, stop: list[str], cuts: list[int]
) -> None:
    data = text.encode()
    bounds = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    assembled = TextBuffer(stop)
    shown = [
        assembled.push(data[a:b]) for a, b in zip(bounds, bounds[1:], strict=False)
    ]
    result = "".join([*shown, assembled.flush()])
    ends = [(text.find(one) + len(one), text.find(one)) for one in stop if one in text]
    assert result == (text[: min(ends)[1]] if ends else text)
    assert assembled.is_stopped == bool(ends)
    assert not any(one in result for one in stop)


@pytest.mark.parametrize("cut", range(12))
def test_a_stop_string_may_be_shown(cut: int) -> None:
    text = TextBuffer(["END", "ND?"], include_stop=True)
    shown = text.push(b"the END? no"[:cut]) + text.push(b"the END? no"[cut:])
    assert shown == "the END"
    assert text.is_stopped
    assert text.push(b"more") == text.flush() == ""
