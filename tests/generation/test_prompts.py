"""One prompt, or several: how they are told apart, and which are refused."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.generation.prompts import PROMPTS, given, given_several


def kind(value: Any) -> str:
    return type(value).__name__


ONE: list[Any] = [
    "text",
    np.str_("text"),
    [1, 2],
    (1, 2),
    range(3),
    array("i", [1, 2]),
    np.array([1, 2]),
    np.array([1, 2], object),
    np.array([1, 2], np.uint8),
    (token for token in [1, 2]),
]

SEVERAL: list[tuple[Any, list[Any]]] = [
    ([], []),
    ((), []),
    (iter([]), []),
    (np.array([]), []),
    (["a", "b"], ["a", "b"]),
    (("a",), ["a"]),
    ([[1, 2], "b"], [[1, 2], "b"]),
    (["a", 1], ["a", 1]),
    ((text for text in "ab"), ["a", "b"]),
    (map(str, [1, 2]), ["1", "2"]),
    (deque(["a", "b"]), ["a", "b"]),
    ({"x": "a", "y": "b"}.values(), ["a", "b"]),
    (np.array(["a", "b"]), ["a", "b"]),
    (np.array(["a", "b"], object), ["a", "b"]),
    (np.array(["a", None], object), ["a", None]),
]

REFUSED: list[tuple[Any, str]] = [
    (5, "found 5"),
    (None, "found None"),
    (b"text", "found b'text'"),
    (bytearray(b"text"), r"found bytearray\(b'text'\)"),
    (memoryview(b"text"), "found <memory"),
    ({"a": 1}, "or a list of several, found a dict"),
    ({"a"}, "found a set"),
    (frozenset("a"), "found a frozenset"),
    (np.array([1.0]), r"found an array of float64, shape \(1,\)"),
    (np.array([b"a"]), r"found an array of \|S1, shape"),
    (np.array([True]), "found an array of bool"),
    (np.array([["a", "b"]], object), r"array of object, shape \(1, 2\)"),
    (np.zeros((1, 1, 1), int), r"shape \(1, 1, 1\)"),
    (np.array("a"), "found array"),
    (np.int64(5), "found "),
]


@pytest.mark.parametrize("value", ONE, ids=kind)
def test_a_text_or_ids_are_one_prompt(value: Any) -> None:
    found = given(value, PROMPTS)
    assert (found.is_one, found.n, found.place(0)) == (True, 1, "prompt")
    (prompt,) = found.items
    assert list(prompt) in ([*"text"], [1, 2], [0, 1, 2])


@pytest.mark.parametrize(("value", "wanted"), SEVERAL, ids=kind)
def test_anything_in_an_order_is_several_prompts(value: Any, wanted: list[Any]) -> None:
    found = given(value, PROMPTS)
    assert (found.is_one, found.n, found.place(3)) == (
        False,
        len(wanted),
        "prompts[3]",
    )
    assert list(found.items) == wanted


def test_rows_of_ids_are_several_prompts() -> None:
    found = given(np.array([[1, 2], [3, 4]]), PROMPTS)
    assert [list(row) for row in found.items] == [[1, 2], [3, 4]]
    assert given(np.zeros((0, 4), int), PROMPTS).n == 0


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=kind)
def test_other_values_are_refused(value: Any, message: str) -> None:
    for take in (given, given_several):
        name = "prompt" if take is given else "prompts"
        match = f"^{name}: wanted text or token ids, .*{message}"
        with pytest.raises(llamacy.ArgumentError, match=match):
            take(value, PROMPTS)


@pytest.mark.parametrize("value", ONE[:-1], ids=kind)
def test_a_single_prompt_is_not_several(value: Any) -> None:
    match = "^prompts: wanted an iterable of them, found a single one"
    with pytest.raises(llamacy.ArgumentError, match=match):
        given_several(value, PROMPTS)


def test_several_are_taken_one_by_one() -> None:
    taken = []

    def prompts() -> Iterator[str]:
        for letter in "abc":
            taken.append(letter)
            yield letter

    found = given_several(prompts(), PROMPTS)
    assert (found.n, taken) == (None, [])
    items: Iterable[Any] = found.items
    assert next(iter(items)) == "a"
    assert taken == ["a"]
    assert given_several(["a", "b"], PROMPTS).n == 2


@pytest.mark.integrations
def test_columns_of_a_data_frame_are_prompts() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a", "b", "c"], "id": [1, 2, 3]})
    column = frame["text"][frame["id"] != 2]  # whose index has a gap
    for dtype in ("object", "string", "category"):
        found = given(column.astype(dtype), PROMPTS)
        assert (found.is_one, list(found.items)) == (False, ["a", "c"])
    assert given(frame["text"][frame["id"] > 9], PROMPTS).n == 0
    assert list(given(frame["id"], PROMPTS).items) == [[1, 2, 3]]
    with pytest.raises(llamacy.ArgumentError, match=r"found an array of object, shape"):
        given(frame, PROMPTS)
