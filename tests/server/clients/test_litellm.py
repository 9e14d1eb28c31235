"""litellm, unmodified, with the server in OpenAI's place."""

from __future__ import annotations

import os
from typing import Any

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # fetch nothing
litellm = pytest.importorskip("litellm")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}


@pytest.fixture(scope="module")
def complete(url: str) -> Any:
    def complete(text: str, path: str = "/v1", **options: Any) -> Any:
        return litellm.completion(
            model="openai/puppet",
            messages=[{"role": "user", "content": text}],
            api_base=url + path,
            api_key="k",
            num_retries=0,
            **options,
        )

    return complete


@pytest.mark.parametrize("path", ["/v1", ""])
def test_an_answer_comes_with_or_without_v1(complete: Any, path: str) -> None:
    answer = complete("say It is sunny.", path)
    assert answer.choices[0].message.content == "It is sunny."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens > 0


def test_a_stream_has_pieces_and_usage(complete: Any) -> None:
    options = {"include_usage": True}
    chunks = list(complete("say It is sunny.", stream=True, stream_options=options))
    texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(texts) == "It is sunny."
    assert chunks[-1].usage.completion_tokens > 0


def test_reasoning_and_calls_are_kept_apart(complete: Any) -> None:
    message = complete("say <think>\nHm.\n</think>\n\nYes.").choices[0].message
    assert (message.content, message.reasoning_content.strip()) == ("Yes.", "Hm.")
    choice = complete(f"say {CALL}", tools=[TOOL]).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls[0].function.arguments == '{"a": 1}'


def test_options_of_other_servers_reach_the_model(complete: Any) -> None:
    options: dict[str, Any] = {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1}
    assert complete("say yes", **options).choices[0].message.content == "yes"


def test_mistakes_have_litellms_classes(complete: Any) -> None:
    with pytest.raises(litellm.ContextWindowExceededError):
        complete("word " * 4000)
    with pytest.raises(litellm.BadRequestError, match="temprature"):
        complete("hi", temprature=1)


def test_anthropics_interface_asks_for_more_than_the_context_has(url: str) -> None:
    answer = litellm.completion(
        "anthropic/puppet",
        [{"role": "user", "content": "say yes"}],
        api_base=url,
        api_key="k",
    )
    assert answer.choices[0].message.content == "yes"


def test_ollamas_interface_asks_what_the_model_can_do(url: str) -> None:
    answer = litellm.completion(
        "ollama_chat/puppet",
        [{"role": "user", "content": f"say {CALL}"}],
        api_base=url,
        tools=[TOOL],
    )
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.arguments == '{"a": 1}'
