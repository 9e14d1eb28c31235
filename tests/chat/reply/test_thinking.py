"""Reasoning before an answer."""

from __future__ import annotations

import pytest

from llamacy.chat.reply.parts import Reasoning, Text
from llamacy.chat.reply.thinking import THINKING_MARKS, ThinkingSplitter

THINK = THINKING_MARKS[0]


def read(text: str, is_open: bool = False, is_certain: bool = False) -> tuple[str, str]:
    """Return reasoning and answer of a text that arrives in one piece."""
    splitter = ThinkingSplitter(THINK, is_open, is_certain)
    said = {Reasoning: "", Text: ""}
    for part in (*splitter.push(text), *splitter.end()):
        assert isinstance(part, Reasoning | Text)
        said[type(part)] += part.text
    return said[Reasoning], said[Text]


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>so</think>yes", "so", "yes"),
        ("\n<think>\n so  it\nis \n</think>\n\nyes \n", "so  it\nis", "yes \n"),
        ("<think>\n\n</think>\n\nyes", "", "yes"),
        ("<think>a < b </ think></think> yes", "a < b </ think>", "yes"),
        ("<think>a</think>b</think>", "a", "b</think>"),
        # reasoning ends once
        ("<think>a</think><think>b</think>c", "a", "<think>b</think>c"),
        # the model has chosen not to reason
        ("</think>\n\nyes </think>", "", "yes </think>"),
        ("\n</thi", "", "\n</thi"),
        # the closing mark in quotes
        ("<think>a `</think>` b</think>c", "a `</think>` b", "c"),
        ('<think>a "</think>" b "</think>\n"c', 'a "</think>" b "', '"c'),
        ("<think>a `</think>", "a `", ""),
        ("<think></think>`c`", "", "`c`"),
        # cut off
        ("<think>so", "so", ""),
        ("<think>so </thi", "so </thi", ""),
        ("<think>so</think>\n", "so", ""),
        ("<thi", "", "<thi"),
        ("", "", ""),
        # not at the beginning
        ("yes <think>so</think>", "", "yes <think>so</think>"),
        ("<thinking>so", "", "<thinking>so"),
        (" yes ", "", " yes "),
        ("so</think>yes", "", "so</think>yes"),
    ],
)
def test_reasoning_counts_only_at_the_beginning(
    text: str, reasoning: str, answer: str
) -> None:
    assert read(text) == (reasoning, answer)


def test_a_prompt_may_already_have_opened_the_reasoning() -> None:
    assert read("so\n</think>\n\nyes", is_open=True) == ("so", "yes")
    assert read("so", is_open=True) == ("so", "")
    assert read("</think>yes", is_open=True) == ("", "yes")
    # and the model opens it once more
    assert read("<think>\nso</think>yes", is_open=True) == ("so", "yes")
    assert read("\n<think>so", is_open=True) == ("so", "")
    assert read("<thi", is_open=True) == ("<thi", "")
    assert read("so <think> it</think>yes", is_open=True) == ("so <think> it", "yes")


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("so\n</think>\n\nyes", "so", "yes"),
        ("`</think>` so</think>yes", "`</think>` so", "yes"),
        ("yes", "", "yes"),
        ("yes `</think>`", "", "yes `</think>`"),
        ("<think>so</think>yes", "so", "yes"),
    ],
)
def test_a_model_that_always_reasons_may_leave_out_the_opening_mark(
    text: str, reasoning: str, answer: str
) -> None:
    assert read(text, is_certain=True) == (reasoning, answer)


def test_only_a_possible_mark_is_held_back() -> None:
    splitter = ThinkingSplitter(THINK, is_open=False)
    expected = [
        ("<think>", []),
        ("so", [Reasoning("so")]),
        (" it ", [Reasoning(" it")]),
        ("is <", [Reasoning(" is")]),
        ("br> </think", [Reasoning(" <br>")]),
        (">\n", []),
        ("\nyes", [Text("yes")]),
        (" it <think>", [Text(" it <think>")]),
    ]
    assert [(text, list(splitter.push(text))) for text, _ in expected] == expected
