"""Items of OpenAI's response API as messages."""

from __future__ import annotations

from typing import Any

import pytest

from llamacy.errors import ArgumentError
from llamacy.protocols.openai.response_input import with_instructions, written_input

CALL = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "3"}
THOUGHT = {
    "type": "reasoning",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "Hm."}],
}


def test_a_text_is_the_users() -> None:
    assert written_input("Hello!") == [{"role": "user", "content": "Hello!"}]


def test_items_of_one_answer_are_one_message() -> None:
    said = {"type": "message", "role": "assistant", "content": "Well."}
    user, answer, tool, after = written_input(
        [{"role": "user", "content": "Hello!"}, THOUGHT, said, CALL, OUTPUT, said]
    )
    assert user["role"] == "user"
    assert answer["role"] == "assistant"
    assert (answer["content"], answer["reasoning_content"]) == ("Well.", "Hm.")
    assert [call["id"] for call in answer["tool_calls"]] == ["c1"]
    assert tool == {"role": "tool", "tool_call_id": "c1", "content": "3"}
    assert after == {"role": "assistant", "content": "Well."}


def test_encrypted_reasoning_of_others_is_left_out() -> None:
    item = {"type": "reasoning", "summary": [], "encrypted_content": "x"}
    (answer,) = written_input([item, {"role": "assistant", "content": "Well."}])
    assert answer == {
        "role": "assistant",
        "content": "Well.",
        "reasoning_content": None,
    }


def test_instructions_stand_in_the_systems_message() -> None:
    user = {"role": "user", "content": "Hello!"}
    assert with_instructions(None, [user]) == [user]
    system = {"role": "system", "content": "Be kind."}
    assert with_instructions("Be kind.", [user]) == [system, user]
    both = with_instructions("Be brief.", [system, user])
    assert both == [{"role": "system", "content": "Be brief.\n\nBe kind."}, user]
    assert system["content"] == "Be kind."


@pytest.mark.parametrize(
    "item",
    [
        "Hello!",
        {"role": "nobody", "content": "x"},
        {"role": "user"},
        {"type": "item_reference", "id": "x"},
        {"type": "function_call", "name": "add"},
        {"type": "function_call_output", "call_id": 3, "output": ""},
        {"type": "reasoning", "content": "Hm."},
        {"type": "reasoning", "content": [{"text": 3}]},
    ],
)
def test_invalid_items_are_named_by_index(item: Any) -> None:
    with pytest.raises(ArgumentError, match=r"input\[1\]"):
        written_input([{"role": "user", "content": "Hello!"}, item])
