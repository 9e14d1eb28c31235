"""Text that may be shown: whole characters, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Iterator

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


class AfterColon:
    """Lets stop strings end what follows a colon, and "b" end everything."""

    always: tuple[str, ...] = ("b",)

    def __init__(self) -> None:
        self._is_behind = False

    def push(self, text: str) -> Iterator[tuple[str, bool]]:
        before, mark, after = text.partition(":")
        if self._is_behind or not mark:
            yield text, self._is_behind
        else:
            self._is_behind = True
            yield before + mark, False
            yield after, True

    def end(self) -> Iterator[tuple[str, bool]]:
        yield "", self._is_behind


@settings(max_examples=200, deadline=None)
@given(st.text("ab€:", max_size=30), st.lists(st.integers(1, 9), max_size=30))
def test_stop_strings_end_only_the_parts_in_their_scope(
    text: str, sizes: list[int]
) -> None:
    buffer = TextBuffer(["a€", "b"], scope=AfterColon())
    shown, at = [], 0
    for size in [*sizes, len(text)]:
        shown.append(buffer.push(text[at : at + size].encode()))
        at += size
    result = "".join([*shown, buffer.flush()])
    colon = text.find(":") + 1 or len(text)
    ends = [at for at in (text.find("b"), text.find("a€", colon)) if at >= 0]
    assert result == text[: min(ends, default=len(text))]
    assert buffer.is_stopped == bool(ends)


@pytest.mark.parametrize(
    ("stop", "shown"),
    [
        ("<x>", "ab"),
        ("b<x>c", "a"),
        ("<x>cd", "ab"),
        ("<x>d", "abcd"),
    ],
)
def test_a_text_that_is_not_shown_may_be_part_of_a_stop_string(
    stop: str, shown: str
) -> None:
    buffer = TextBuffer([stop])
    text = buffer.push(b"ab") + buffer.push_hidden("<x>") + buffer.push(b"c")
    text += buffer.push(b"d")
    assert text + buffer.flush() == shown
    with_stop = TextBuffer([stop], include_stop=True)
    text = with_stop.push(b"ab") + with_stop.push_hidden("<x>") + with_stop.push(b"c")
    assert (stop in text + with_stop.push(b"d") + with_stop.flush()) == (
        with_stop.is_stopped
    )
