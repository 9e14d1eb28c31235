"""Reading arrays of strings: the fast way gives the same as the slow way."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lines_run import lines_run

from llamacy.formats.gguf.string_array import StringArrayError, read_strings

# characters of tokens, and bytes that resemble a header
texts = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["", "\0", "\0" * 8, "a\0", "\0a", "x" * 255, "x" * 256, "é" * 128]
    ),
    st.integers(0, 700).map(lambda n: "Ġ" * n),
)


def pack(strings: list[str]) -> bytes:
    encoded = [string.encode() for string in strings]
    return b"".join(struct.pack("<Q", len(each)) + each for each in encoded)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, max_size=60), st.binary(max_size=40), st.binary(max_size=40))
def test_any_strings_are_read(strings: list[str], before: bytes, after: bytes) -> None:
    data = before + pack(strings) + after
    got, end = read_strings(data, len(before), len(strings), len(data))
    assert got == strings
    assert end == len(data) - len(after)


@settings(max_examples=60, deadline=None)
@given(st.lists(texts, min_size=1, max_size=20), st.integers(0, 2000))
def test_unusual_strings_among_many_plain_ones_are_read(
    odd: list[str], place: int
) -> None:
    """Windows grow in long runs of plain strings, and meet other strings in between."""
    plain = [f"▁token{i}" for i in range(2000)]
    strings = plain[:place] + odd + plain[place:] + odd + plain
    data = pack(strings)
    got, end = read_strings(data, 0, len(strings), len(data))
    assert got == strings
    assert end == len(data)


def test_strings_larger_than_a_window_are_read() -> None:
    strings = ["a" * 3_000_000, "b", "c" * 70_000] * 3 + ["d"] * 100
    data = pack(strings)
    assert read_strings(data, 0, len(strings), len(data)) == (strings, len(data))


def test_only_the_requested_number_of_strings_is_read() -> None:
    strings = [str(i) for i in range(1000)]
    data = pack(strings)
    got, end = read_strings(data, 0, 500, len(data))
    assert got == strings[:500]
    assert end == len(pack(strings[:500]))


@pytest.mark.parametrize("n_before", [0, 5, 500])
@pytest.mark.parametrize(
    ("bad", "wanted", "found"),
    [
        (b"\x03", "8 bytes of length", "1 bytes before the end"),
        (struct.pack("<Q", 9) + b"abc", "9 bytes of text", "3 bytes before the end"),
        (struct.pack("<Q", 1 << 63), f"{1 << 63} bytes of text", "0 bytes before"),
        (struct.pack("<Q", 2) + b"a\xff", "UTF-8 text", "at byte 1"),
        (struct.pack("<Q", 1) + b"\xc3", "UTF-8 text", "at byte 0"),
    ],
)
def test_broken_strings_are_named(
    n_before: int, bad: bytes, wanted: str, found: str
) -> None:
    data = pack(["good"] * n_before) + bad
    with pytest.raises(StringArrayError) as caught:
        read_strings(data, 0, n_before + 1, len(data))
    assert caught.value.index == n_before
    assert caught.value.wanted == wanted
    assert found in caught.value.found


def test_a_character_split_between_strings_is_refused() -> None:
    """Each string must be UTF-8 by itself, without halves of characters."""
    halves = [struct.pack("<Q", 1) + b"\xc3", struct.pack("<Q", 1) + b"\xa9"] * 50
    with pytest.raises(StringArrayError) as caught:
        read_strings(b"".join(halves), 0, 100, len(b"".join(halves)))
    assert caught.value.index == 0


@pytest.mark.parametrize("unit", [[""], ["\0"], ["x" * 256], ["a", "\0b"]])
def test_arrays_that_defeat_the_fast_way_cost_no_more_than_the_slow_way(
    unit: list[str],
) -> None:
    strings = unit * (100_000 // len(unit))
    data = pack(strings)
    assert read_strings(data, 0, len(strings), len(data)) == (strings, len(data))
    n_lines = lines_run(lambda: read_strings(data, 0, len(strings), len(data)))
    assert n_lines < 10 * len(strings)  # of which the slow way takes nine
