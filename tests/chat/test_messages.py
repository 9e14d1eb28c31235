"""Messages in the shapes of APIs and their clients: null, missing, empty and false."""

from __future__ import annotations

from typing import Any

import pytest

import llamacy
from llamacy.chat.messages import checked_messages
from llamacy.chat.values import NoText

CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def content(**message: Any) -> Any:
    return checked_messages([message])[0]["content"]


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ({"role": "assistant", "content": None}, ""),
        ({"role": "assistant"}, ""),
        ({"role": "assistant", "content": []}, ""),
        ({"role": "assistant", "content": None, "refusal": "I cannot."}, ""),
        ({"role": "assistant", "content": None, "tool_calls": []}, ""),
        ({"role": "assistant", "content": "a", "tool_calls": None}, "a"),
        ({"role": "system", "content": ""}, ""),
        ({"role": "user", "content": []}, ""),
        ({"role": "user", "content": ["a"]}, "a"),
        ({"role": "user", "content": ["a", {"type": "text", "text": "b"}]}, ["a", "b"]),
        ({"role": "user", "content": [{"type": "input_text", "text": "a"}]}, "a"),
        ({"role": "assistant", "content": [{"type": "output_text", "text": ""}]}, ""),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "N"}]}, "N"),
        ({"role": "tool", "content": [{"type": "text", "text": "a"}]}, "a"),
        ({"role": "tool", "content": {"é": 3}}, '{"é": 3}'),
        ({"role": "tool", "content": None}, "null"),
        ({"role": "tool", "content": False}, "false"),
        ({"role": "tool", "content": 0}, "0"),
        ({"role": "tool", "content": ""}, ""),
        ({"role": "tool", "content": []}, "[]"),
        ({"role": "tool", "content": ["a", 2]}, '["a", 2]'),
    ],
)
def test_a_content_is_read_in_every_shape(message: Any, wanted: object) -> None:
    assert content(**message) == wanted


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"role": "user", "content": None}, r"\['content'\]: wanted a string, found N"),
        ({"role": "user"}, "wanted a string, found None"),
        ({"role": "tool"}, "wanted a string, found None"),
        ({"role": "user", "content": False}, "wanted a string, found False"),
        ({"role": "user", "content": {"a": 1}}, "wanted a string, found {'a': 1}"),
        ({"role": "user", "content": [None]}, "parts of type text, found None"),
        ({"role": "user", "content": [{"text": "a"}]}, "parts of type text, found {'t"),
        (
            {"role": "tool", "content": ["a", {"type": "image"}]},
            "type text, found {'type': 'image'}",
        ),
        ({"role": "tool", "content": 10**5000}, r"messages\[0\]\['content'\]: Exceeds"),
        ({"role": "assistant", "content": "", "tool_calls": ""}, "wanted a list, fou"),
        ({"role": "assistant", "content": "", "tool_calls": False}, "wanted a list"),
        ({"role": "assistant", "thinking": 5}, r"\['thinking'\]: wanted a string, f"),
        ({"role": "assistant", "reasoning": []}, r"\['reasoning'\]: wanted a string"),
        ({"role": "assistant", "function_call": {"name": "f"}}, "tool_calls takes its"),
    ],
)
def test_a_content_that_is_no_text_is_refused(message: Any, why: str) -> None:
    with pytest.raises(llamacy.ArgumentError, match=why):
        checked_messages([message])


def test_an_empty_list_of_calls_is_no_calls() -> None:
    (message,) = checked_messages(
        [{"role": "assistant", "content": "a", "tool_calls": []}]
    )
    assert message == {"role": "assistant", "content": "a"}


@pytest.mark.parametrize("empty", [{}, {"content": None}, {"content": ""}])
def test_calls_alone_have_a_content_that_is_empty_and_none(empty: Any) -> None:
    text = content(role="assistant", tool_calls=[CALL], **empty)
    assert isinstance(text, NoText)
    assert (text == "", text == None, text != None) == (True, True, False)  # noqa: E711


class Dumped:
    """Like the objects of OpenAI's client, which are pydantic's."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def model_dump(self) -> dict[str, Any]:
        return self.values


def test_objects_of_a_client_are_dicts() -> None:
    call = Dumped(id="1", function=Dumped(name="f", arguments='{"a": 1}'))
    answer = Dumped(role="assistant", content=None, tool_calls=[call], audio=None)
    (message,) = checked_messages([answer])  # type: ignore[list-item]
    assert message.keys() == {"role", "content", "tool_calls"}
    assert message["tool_calls"][0]["function"] == {"name": "f", "arguments": {"a": 1}}
    with pytest.raises(llamacy.ArgumentError, match="at most 50 levels"):
        endless = Dumped()
        endless.values = {"role": endless}
        checked_messages([endless])  # type: ignore[list-item]
