"""Haystack's generator for llama-cpp-python runs on `llamacy.compat`, unmodified."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("haystack")
pytest.importorskip("haystack_integrations.components.generators.llama_cpp")

from haystack.dataclasses import ChatMessage
from haystack.tools import Tool
from haystack_integrations.components.generators.llama_cpp import (
    LlamaCppChatGenerator,
)

if TYPE_CHECKING:
    from tests.integrations.compat.conftest import Told

pytestmark = pytest.mark.integrations

CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Köln"}}</tool_call>'


@pytest.fixture(scope="module")
def generator(puppet_path: str) -> LlamaCppChatGenerator:
    made = LlamaCppChatGenerator(puppet_path, n_ctx=2048, n_batch=128)
    made.warm_up()
    return made


def test_an_answer_comes_whole_and_in_a_stream(
    generator: LlamaCppChatGenerator, told: Told
) -> None:
    def options() -> dict[str, Any]:
        return told(generator._model, "It is sunny.")

    messages = [ChatMessage.from_system("Be brief."), ChatMessage.from_user("bada")]
    (answer,) = generator.run(messages, options())["replies"]
    assert (answer.text, answer.meta["finish_reason"]) == ("It is sunny.", "stop")
    texts: list[str] = []
    generator.run(
        messages,
        options(),
        streaming_callback=lambda chunk: texts.append(chunk.content),
    )
    assert "".join(texts) == "It is sunny."
    (answer,) = asyncio.run(generator.run_async(messages, options()))["replies"]
    assert answer.text == "It is sunny."


def test_a_tool_is_called_and_its_result_read(
    generator: LlamaCppChatGenerator, told: Told
) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tools = [Tool("weather", "Say it.", schema, lambda city: "rain")]
    question = ChatMessage.from_user("How is the weather?")
    options = told(generator._model, CALL)
    (answer,) = generator.run([question], options, tools=tools)["replies"]
    (call,) = answer.tool_calls
    assert (call.tool_name, call.arguments) == ("weather", {"city": "Köln"})
    result = ChatMessage.from_tool("rain", origin=call)
    options = told(generator._model, "Take an umbrella.")
    said = generator.run([question, answer, result], options, tools=tools)["replies"]
    assert said[0].text == "Take an umbrella."
