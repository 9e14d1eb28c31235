"""Stop strings are for the answer, not for the reasoning before it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import llamacy
from llamacy.chat.reply.reading import ReplyReader
from llamacy.chat.reply.stop_scope import stop_scope
from llamacy.chat.reply.style import ReplyStyle
from llamacy.chat.reply.thinking import THINKING_MARKS
from llamacy.generation.text_buffer import TextBuffer
from tests.support.puppet import saying
from tests.support.tool_templates import HARMONY, HERMES

THINK = ReplyStyle(thinking=THINKING_MARKS[0])
ALWAYS = ReplyStyle(thinking=THINKING_MARKS[0], always_thinks=True)
GPT_OSS = ReplyStyle(has_channels=True)
HM = "<|channel|>analysis<|message|>Hm. Q: a?<|end|><|start|>assistant"
FINAL = "<|channel|>final<|message|>"


def ended(style: ReplyStyle, text: str, *stop: str, n: int = 1000) -> str:
    """Return a text up to the stop string that ends it, given in pieces of `n`."""
    scope = stop_scope(ReplyReader(style), ("END",), stop)
    buffer = TextBuffer((*stop, "END"), scope=scope)
    pieces = [text[at : at + n].encode() for at in range(0, len(text), n)]
    return "".join([*map(buffer.push, pieces), buffer.flush()])


@pytest.mark.parametrize("n", [1, 3, 1000])
@pytest.mark.parametrize(
    ("style", "text", "shown"),
    [
        (THINK, "<think>Hm. Q: a?</think>\n\nIt is.\nQ: b", "It is.\n"),
        (THINK, "It is.\nQ: b</think>", "It is.\n"),
        (THINK, "<think>Hm. Q: a?", "Hm. Q: a?"),
        (THINK, "<think>Hm. END Q: a?</think>b", "Hm. "),
        (ALWAYS, "Hm. Q: a?</think>It is.\nQ: b", "It is.\n"),
        (ALWAYS, "It is.\nQ: b", "It is.\n"),
        (GPT_OSS, f"{HM}{FINAL}It is.\nQ: b", "It is.\n"),
        (GPT_OSS, f"{HM}{FINAL}It is. END", "It is. "),
        (GPT_OSS, "It is.\nQ: b", "It is.\n"),
    ],
)
def test_stop_strings_end_the_answer(
    style: ReplyStyle, text: str, shown: str, n: int
) -> None:
    result = ended(style, text, "Q:", n=n)
    assert text.startswith(result)
    assert result.endswith(shown)


def test_white_space_before_the_answer_is_no_stop_string() -> None:
    text = "<think>Hm.\n\nSo.</think>\n\nIt is.\n\nAnd more."
    assert ended(THINK, text, "\n\n") == text[: text.index("\n\nAnd")]


@pytest.mark.parametrize(
    ("style", "text", "stop"),
    [
        (THINK, "<think>Hm.</think>It is.", "</think>"),
        (GPT_OSS, f"{HM}{FINAL}It is.", "<|end|>"),
    ],
)
def test_a_stop_string_with_a_mark_ends_the_reasoning(
    style: ReplyStyle, text: str, stop: str
) -> None:
    assert ended(style, text, stop) == text[: text.index(stop)]


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([THINK, ALWAYS, GPT_OSS]),
    st.lists(
        st.sampled_from(
            [
                "<think>",
                "</think>",
                "</th",
                "`",
                "Q:",
                "Q",
                "END",
                "\n",
                " a",
                HM,
                FINAL,
            ]
        ),
        max_size=9,
    ),
    st.integers(1, 9),
)
def test_the_sizes_of_the_pieces_make_no_difference(
    style: ReplyStyle, parts: list[str], n: int
) -> None:
    text = "".join(parts)
    whole = ended(style, text, "Q:", "\n")
    assert ended(style, text, "Q:", "\n", n=n) == whole
    assert text.startswith(whole)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (HERMES, "<think>Hm. Q: a?</think>It is.\nQ: b"),
        (HARMONY, f"{HM}{FINAL}It is.\nQ: b"),
    ],
)
def test_a_chat_reasons_about_its_stop_strings(
    puppet: llamacy.Model, template: str, text: str
) -> None:
    options: Any = {"chat_format": template, "stop": "Q:"}
    answer = puppet.chat("a", **options, **saying(puppet, text))
    assert (answer.reasoning, answer.text) == ("Hm. Q: a?", "It is.\n")
    assert answer.finish_reason == "stop"
    with puppet.stream_chat("a", **options, **saying(puppet, text)) as stream:
        assert "".join(piece.text for piece in stream) == answer.text


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("[INST]", "It is. "),
        ("[INST]\n", "It is. "),
        ("s. [INST]", "It i"),
        ("[INST]b", "It is. \nNo."),
        (".[INST]", "It is. \nNo."),
    ],
)
def test_control_tokens_are_stop_strings(
    puppet: llamacy.Model, stop: str, text: str
) -> None:
    said = "It is. [INST]\nNo."
    found = puppet.generate("a", stop=stop, **saying(puppet, said))
    assert found.text == text
    assert puppet.chat("a", stop=stop, **saying(puppet, said)).text == text
    typed = saying(puppet, *said)  # spelled in letters
    expected = text if text.endswith(("s. ", "i")) else said
    assert puppet.generate("a", stop=stop, **typed).text == expected
