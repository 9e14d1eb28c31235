"""Terminals of texts without marks."""

from __future__ import annotations

import random
import re

import pytest

from llamacy.chat.constrained.lark import without

TAGS = ("</function", "</parameter", "<function", "<parameter", "<tool_call")


@pytest.mark.parametrize(
    ("marks", "needles"),
    [
        (TAGS, TAGS),
        (('<|"|>',), ('<|"|>',)),
        (("]<]minimax[>[",), ("<]minimax[>[",)),  # its first character comes again
        (("[TOOL_CALLS]", "<end"), ("[TOOL_CALLS]", "<end")),
    ],
)
def test_a_text_without_marks_has_none_of_them(
    marks: tuple[str, ...], needles: tuple[str, ...]
) -> None:
    terminal = without(*marks)
    assert "~" not in terminal  # which would make too many states beside a count
    pattern = re.compile(terminal[1:-1].replace("\\/", "/"))
    rng = random.Random(0)
    pieces = [mark[:n] for mark in marks for n in (1, 2, 4, len(mark) - 1, len(mark))]
    pieces += [mark[2:] for mark in marks] + ["a", "\n", "\u00e9"]
    for _ in range(1500):
        text = "".join(rng.choices(pieces, k=rng.randint(0, 5)))
        found = pattern.fullmatch(text) is not None
        assert found == (not any(needle in text for needle in needles)), text


def test_marks_that_share_characters_are_excluded_as_a_whole() -> None:
    assert without(">>>").endswith("& ~/(.|\\n)*(>>>)(.|\\n)*/")
    assert "~" in without("ab", "ba")
