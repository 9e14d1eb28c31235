"""llamacy as an LLM of LlamaIndex."""

from __future__ import annotations

import asyncio
import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support.puppet import replying, saying
from tests.support.tool_templates import UNTHINKING

pytest.importorskip("llama_index.core")

from llama_index.core import PromptTemplate
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, ValidationError

from llamacy.integrations.llama_index import Llamacy
from llamacy.integrations.llama_index.messages import to_dicts

pytestmark = pytest.mark.integrations

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
QUESTION = [ChatMessage("What is the capital of Italy?")]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


ADD = FunctionTool.from_defaults(add)


@pytest.fixture
def llm(demo: llamacy.Model) -> Llamacy:
    return Llamacy(model=demo, temperature=0)


def test_metadata_say_what_the_model_can(
    llm: Llamacy, puppet: llamacy.Model, base_model: Path
) -> None:
    demo, tools = llm.metadata, Llamacy(model=puppet).metadata
    base = Llamacy(model=base_model).metadata
    assert (demo.context_window, demo.num_output) == (512, 128)
    assert [one.is_chat_model for one in (demo, tools, base)] == [True, True, False]
    assert [one.is_function_calling_model for one in (demo, tools, base)] == [
        False,
        True,
        False,
    ]
    assert Llamacy(model=base_model, chat_format="chatml").metadata.is_chat_model


def test_texts_and_answers_are_the_same_in_every_way_of_asking(llm: Llamacy) -> None:
    prompt = "They all lived happily"

    async def asked() -> list[str | None]:
        pieces = [piece async for piece in await llm.astream_complete(prompt)]
        answers = [piece async for piece in await llm.astream_chat(QUESTION)]
        assert "".join(piece.delta or "" for piece in answers) == "Rome"
        return [
            (await llm.acomplete(prompt)).text,
            pieces[-1].text,
            (await llm.achat(QUESTION)).message.content,
            answers[-1].message.content,
        ]

    streamed = list(llm.stream_complete(prompt))
    assert [piece.delta for piece in streamed] == [" ever", " after", ".", ""]
    assert streamed[-1].raw is not None
    assert streamed[-1].raw["finish_reason"] == "stop"
    text, answer = llm.complete(prompt).text, llm.chat(QUESTION).message.content
    assert (text, answer) == (" ever after.", "Rome")
    assert streamed[-1].text == text
    assert list(llm.stream_chat(QUESTION))[-1].message.content == answer
    assert asyncio.run(asked()) == [text, text, answer, answer]


def test_prompts_of_engines_are_answered(llm: Llamacy) -> None:
    assert llm.predict(PromptTemplate("What is {a} + {b}?"), a=12, b=30) == "42"


def test_bad_options_are_refused(demo: llamacy.Model) -> None:
    with pytest.raises(ValidationError, match="did you mean temperature"):
        Llamacy(model=demo, temprature=0)
    with pytest.raises(ValidationError, match="top_p: wanted"):
        Llamacy(model=demo, top_p=2)


def test_stream_that_is_closed_ends_the_generation(demo: llamacy.Model) -> None:
    stream = Llamacy(model=demo, seed=1).stream_complete("Once upon a time")
    next(stream)
    stream.close()
    assert demo.engine.load().n_active == 0


def test_token_counter_sees_the_real_numbers(demo: llamacy.Model) -> None:
    counter = TokenCountingHandler()
    llm = Llamacy(
        model=demo, temperature=0, callback_manager=CallbackManager([counter])
    )
    llm.chat(QUESTION)
    assert counter.completion_llm_token_count == 2
    n_prompt = len(demo.chat_prompt("What is the capital of Italy?"))
    assert counter.prompt_llm_token_count == n_prompt


# Messages.


def test_blocks_of_messages_become_dicts() -> None:
    call = ToolCallBlock(tool_call_id="one", tool_name="add", tool_kwargs={"a": 1})
    messages = [
        ChatMessage(role=MessageRole.DEVELOPER, content="Be brief."),
        ChatMessage(blocks=[TextBlock(text="1 +"), TextBlock(text="2?")]),
        ChatMessage(role="assistant", blocks=[ThinkingBlock(content="Hm."), call]),
        ChatMessage(
            role="tool", content="3", additional_kwargs={"tool_call_id": "one"}
        ),
    ]
    function = {"name": "add", "arguments": {"a": 1}}
    assert to_dicts(messages) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1 +\n2?"},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "Hm.",
            "tool_calls": [{"id": "one", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "3", "tool_call_id": "one", "name": "add"},
    ]


def test_image_in_a_message_is_refused(llm: Llamacy) -> None:
    image = ImageBlock(url="https://example.org/cat.png")
    with pytest.raises(llamacy.ArgumentError, match=r"messages\[1\]: wanted text"):
        llm.chat([*QUESTION, ChatMessage(blocks=[image])])


# Tools.


def test_tool_calls_and_reasoning_are_blocks(puppet: llamacy.Model) -> None:
    llm = Llamacy(model=puppet)
    said = f"<think>\nHm.\n</think>\n\nI add.\n{CALL}"
    whole = llm.chat_with_tools([ADD], "1 + 2?", **saying(puppet, said))
    *_, last = llm.stream_chat_with_tools([ADD], "1 + 2?", **saying(puppet, said))
    for response in (whole, last):
        kinds = [block.block_type for block in response.message.blocks]
        assert kinds == ["thinking", "text", "tool_call"]
        (call,) = llm.get_tool_calls_from_response(response)
        assert (call.tool_name, call.tool_kwargs) == ("add", {"a": 1, "b": 2})


def test_only_the_first_of_two_calls_stays_unless_several_are_allowed(
    puppet: llamacy.Model,
) -> None:
    llm = Llamacy(model=puppet)
    for allowed, n in ((False, 1), (True, 2)):
        response = llm.chat_with_tools(
            [ADD],
            "1 + 2?",
            allow_parallel_tool_calls=allowed,
            **saying(puppet, f"{CALL}\n{CALL}"),
        )
        assert len(llm.get_tool_calls_from_response(response)) == n


def test_answer_without_a_tool_call_is_an_error_where_one_is_wanted(
    llm: Llamacy,
) -> None:
    response = llm.chat(QUESTION)
    assert llm.get_tool_calls_from_response(response, False) == []
    with pytest.raises(ValueError, match="wanted a tool call, found a text: 'Rome'"):
        llm.get_tool_calls_from_response(response)


class Puppet(Llamacy):
    """Calls a tool, and answers once it has the result."""

    said: str = CALL

    def _chatting(self, given: dict[str, Any]) -> dict[str, Any]:
        def reply(prompt: str) -> str:
            return "It is 3." if "<tool_response>\n3" in prompt else self.said

        beginning = "<|im_start|>assistant\n"
        return {
            **super()._chatting(given),
            **replying(self.loaded, reply, beginning=beginning),
        }


@pytest.mark.parametrize("streaming", [False, True])
def test_agent_calls_a_tool_and_answers(puppet: llamacy.Model, streaming: bool) -> None:
    async def ask() -> str:
        agent = FunctionAgent(
            tools=[ADD], llm=Puppet(model=puppet), streaming=streaming
        )
        return str(await agent.run("What is 1 + 2?"))

    assert asyncio.run(ask()) == "It is 3."


def test_structured_prediction_is_a_tool_call(puppet: llamacy.Model) -> None:
    class Sum(BaseModel):
        """A sum."""

        a: int
        b: int

    llm = Puppet(model=puppet, said=CALL.replace("add", "Sum"))
    assert llm.structured_predict(Sum, PromptTemplate("1 + 2?")) == Sum(a=1, b=2)


def test_a_required_call_has_valid_arguments(puppet: llamacy.Model) -> None:
    class Sum(BaseModel):
        """A sum."""

        ok: bool

    options = {"temperature": 0.0, "max_tokens": 200, "chat_format": UNTHINKING}
    llm = Llamacy(model=puppet, **options)
    predicted = llm.structured_predict(
        Sum, PromptTemplate("1 + 2?"), tool_required=True
    )
    assert isinstance(predicted, Sum)


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(llamacy.ArgumentError, match="messages: wanted at least one"):
        Llamacy(model="demo").chat([])


def test_copies_answer_as_the_original(caplog: pytest.LogCaptureFixture) -> None:
    llm = Llamacy(model="demo", temperature=0)
    for twin in (copy.deepcopy(llm), pickle.loads(pickle.dumps(llm))):
        assert twin.complete("The capital of France is").text == " Paris"
    assert not caplog.records
