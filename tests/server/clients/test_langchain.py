"""langchain-openai, unmodified."""

from __future__ import annotations

from typing import Any

import pytest

openai_of = pytest.importorskip("langchain_openai")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}


@pytest.fixture(scope="module")
def chat(url: str) -> Any:
    return openai_of.ChatOpenAI(
        base_url=f"{url}/v1",
        api_key="k",
        model="puppet",
        max_retries=0,
        stream_usage=True,
    )


def test_an_answer_has_text_and_usage(chat: Any) -> None:
    answer = chat.invoke([("system", "Be kind."), ("human", "say It is sunny.")])
    assert answer.content == "It is sunny."
    assert answer.usage_metadata["output_tokens"] > 0
    assert answer.response_metadata["finish_reason"] == "stop"


def test_a_stream_has_text_and_usage(chat: Any) -> None:
    pieces = list(chat.stream("say It is sunny.", stop=["rain"], seed=1))
    assert "".join(piece.content for piece in pieces) == "It is sunny."
    used = [piece.usage_metadata for piece in pieces if piece.usage_metadata]
    assert sum(one["output_tokens"] for one in used) > 0


def test_tools_can_be_called_in_turn(chat: Any) -> None:
    bound = chat.bind_tools([TOOL])
    asked: list[Any] = [("human", f"say {CALL}")]
    answer = bound.invoke(asked)
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("add", {"a": 1})
    result = {"role": "tool", "tool_call_id": call["id"], "content": "3"}
    assert bound.invoke([*asked, answer, result]).content == "The tool said 3"
    pieces = list(bound.stream(f"say {CALL}"))
    joined = pieces[0]
    for piece in pieces[1:]:
        joined += piece
    assert [one["args"] for one in joined.tool_calls] == [{"a": 1}]
