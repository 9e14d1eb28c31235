"""llamacy as an LLM and a chat model of LangChain."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support.puppet import saying
from tests.support.tool_templates import UNTHINKING

pytest.importorskip("langchain_core")

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, PromptTemplate
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from pydantic import BaseModel, ValidationError

from llamacy.integrations.langchain import ChatLlamacy, Llamacy
from llamacy.integrations.langchain.messages import to_dicts

pytestmark = pytest.mark.integrations

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'


class Tokens(BaseCallbackHandler):
    """Collects the tokens that a model gives to callbacks."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def on_llm_new_token(self, token: str, **_: Any) -> None:
        self.tokens.append(token)


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


class Sum(BaseModel):
    """A sum of two numbers."""

    a: int
    b: int


@pytest.fixture
def llm(demo: llamacy.Model) -> Llamacy:
    return Llamacy(model=demo, temperature=0)


@pytest.fixture
def chat(demo: llamacy.Model) -> ChatLlamacy:
    return ChatLlamacy(model=demo, temperature=0)


# Texts.


def test_chain_of_prompt_model_and_parser_runs(llm: Llamacy) -> None:
    chain = PromptTemplate.from_template("The capital of {name} is") | llm
    assert chain.invoke({"name": "France"}) == " Paris"
    assert asyncio.run(chain.ainvoke({"name": "Italy"})) == " Rome"


def test_batch_of_texts_shares_forward_passes(llm: Llamacy) -> None:
    prompts = [f"The capital of {name} is" for name in ("France", "Italy")]
    result = llm.generate(prompts)
    assert [one[0].text for one in result.generations] == [" Paris", " Rome"]
    assert result.llm_output is not None
    usage = result.llm_output["token_usage"]
    n_prompt = sum(len(llm.loaded.tokenize(prompt)) for prompt in prompts)
    assert usage["prompt_tokens"] == n_prompt
    assert asyncio.run(llm.abatch(prompts)) == [" Paris", " Rome"]


@pytest.mark.parametrize("streaming", [False, True])
def test_texts_give_tokens_to_callbacks(demo: llamacy.Model, streaming: bool) -> None:
    llm = Llamacy(model=demo, temperature=0, streaming=streaming)
    tokens = Tokens()
    config: Any = {"callbacks": [tokens]}
    text = llm.invoke("They all lived happily", config)
    assert text == " ever after."
    assert tokens.tokens == ([" ever", " after", "."] if streaming else [])
    assert asyncio.run(llm.ainvoke("They all lived happily", config)) == text
    assert "".join(llm.stream("They all lived happily", config)) == text


def test_closing_a_stream_ends_the_generation(demo: llamacy.Model) -> None:
    stream = Llamacy(model=demo, seed=1).stream("Once upon a time")
    next(stream)
    stream.close()
    assert demo.engine.load().n_active == 0


def test_stop_of_a_call_replaces_that_of_the_model(demo: llamacy.Model) -> None:
    llm = Llamacy(model=demo, temperature=0, stop=" after")
    assert llm.invoke("They all lived happily") == " ever"
    assert llm.invoke("They all lived happily", stop=["."]) == " ever after"


def test_unknown_fields_and_bad_values_are_refused(demo: llamacy.Model) -> None:
    for kind in (Llamacy, ChatLlamacy):
        message = "temprature: unknown option; did you mean temperature"
        with pytest.raises(ValidationError, match=message):
            kind(model=demo, temprature=0)
    with pytest.raises(ValidationError, match="temperature: wanted a finite number"):
        ChatLlamacy(model=demo, temperature=-1)
    with pytest.raises(ValidationError, match="n_ctx: wanted None, as the model is"):
        ChatLlamacy(model=demo, n_ctx=64)
    with pytest.raises(llamacy.ModelFileError, match=r"nothing\.gguf"):
        Llamacy(model="nothing.gguf")


def test_adapters_of_one_file_share_its_weights(puppet_path: Path) -> None:
    chat = ChatLlamacy(model=puppet_path, n_ctx=64)
    assert Llamacy(model=puppet_path, n_ctx=64).loaded is chat.loaded
    assert Llamacy(model=puppet_path, n_ctx=32).loaded is not chat.loaded
    other = chat.configurable_fields(max_tokens=ConfigurableField(id="max"))
    answer = other.with_config({"configurable": {"max": 3}}).invoke("Hello")
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] <= 3
    chat.loaded.close()
    assert Llamacy(model=puppet_path, n_ctx=64).loaded.engine is not None


# Conversations.


def test_chat_answers_and_counts(chat: ChatLlamacy) -> None:
    messages = [SystemMessage("Be brief."), HumanMessage("What is 12 + 30?")]
    answer = chat.invoke(messages)
    assert answer.content == "42"
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata is not None
    n_prompt = chat.get_num_tokens_from_messages(messages)
    assert answer.usage_metadata["input_tokens"] == n_prompt
    assert chat.get_num_tokens("Hello") == len(
        chat.loaded.tokenize("Hello", add_bos=False)
    )


def test_pieces_of_a_chat_add_up_to_the_answer(chat: ChatLlamacy) -> None:
    chain = ChatPromptTemplate.from_template("{question}") | chat
    question = {"question": "What is the capital of Italy?"}
    whole = chain.invoke(question)
    pieces = list(chain.stream(question))
    total = pieces[0]
    for piece in pieces[1:]:
        total += piece
    assert total.content == whole.content == "Rome"
    assert total.usage_metadata is not None
    assert total.usage_metadata["output_tokens"] == 2
    assert total.response_metadata["model_provider"] == "llamacy"
    assert total.response_metadata["finish_reason"] == "stop"

    async def texts() -> list[str]:
        parser = chain | StrOutputParser()
        return [text async for text in parser.astream(question)]

    assert "".join(asyncio.run(texts())) == "Rome"


def test_conversations_of_a_batch_are_answered_at_the_same_time(
    demo: llamacy.Model,
) -> None:
    n = 12  # more than LangChain's own threads on a small machine
    together = threading.Barrier(n, timeout=30)

    chat = ChatLlamacy(model=demo, temperature=0)
    questions = ["What is 12 + 30?", "What is the capital of Italy?"] * (n // 2)

    class Waiting(BaseCallbackHandler):
        raise_error = True

        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            together.wait()

    answers = chat.batch(questions, {"callbacks": [Waiting()]})
    assert [one.content for one in answers] == ["42", "Rome"] * (n // 2)
    assert not together.broken


def test_max_concurrency_of_a_batch_is_respected(chat: ChatLlamacy) -> None:
    running, most = [0], [0]
    lock = threading.Lock()

    class Counting(BaseCallbackHandler):
        def on_chat_model_start(self, *_: Any, **__: Any) -> None:
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])

        def on_llm_end(self, *_: Any, **__: Any) -> None:
            with lock:
                running[0] -= 1

    config: Any = {"max_concurrency": 2, "callbacks": [Counting()]}
    assert len(chat.batch(["What is 12 + 30?"] * 6, config)) == 6
    assert 1 <= most[0] <= 2


def test_tool_call_and_its_result_go_back_and_forth(puppet: llamacy.Model) -> None:
    chat = ChatLlamacy(model=puppet).bind_tools([add])
    question = HumanMessage("What is 1 + 2?")
    answer = chat.invoke([question], **saying(puppet, CALL))
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("add", {"a": 1, "b": 2})
    assert answer.response_metadata["finish_reason"] == "tool_calls"
    result = add.invoke(call)
    dicts = to_dicts([question, answer, result])
    assert dicts[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1, "b": 2}
    assert dicts[2]["content"] == "3"
    last = chat.invoke([question, answer, result], **saying(puppet, "It is 3."))
    assert last.content == "It is 3."


def test_streams_of_several_tool_calls_keep_them_apart(puppet: llamacy.Model) -> None:
    chat = ChatLlamacy(model=puppet).bind_tools([add])
    other = CALL.replace('"a": 1', '"a": "五"')
    total = None
    for chunk in chat.stream("1 + 2, 5 + 2?", **saying(puppet, f"{CALL}\n{other}")):
        total = chunk if total is None else total + chunk
    assert total is not None
    assert [call["args"] for call in total.tool_calls] == [
        {"a": 1, "b": 2},
        {"a": "五", "b": 2},
    ]


def test_malformed_tool_call_is_an_invalid_one(puppet: llamacy.Model) -> None:
    said = saying(puppet, '<tool_call>{"name": "add", </tool_call>')
    answer = ChatLlamacy(model=puppet).bind_tools([add]).invoke("1 + 2?", **said)
    assert not answer.tool_calls
    (invalid,) = answer.invalid_tool_calls
    assert invalid["error"]


def test_tool_result_without_a_name_gets_that_of_its_call() -> None:
    call = {"name": "add", "args": {}, "id": "one"}
    messages = [
        AIMessage("", tool_calls=[call]),
        ToolMessage("3", tool_call_id="one"),
        ToolMessage("4", tool_call_id="unknown"),
    ]
    dicts = to_dicts(messages)
    assert [one.get("name") for one in dicts] == [None, "add", None]


def test_reasoning_is_told_apart_and_given_back(puppet: llamacy.Model) -> None:
    said = saying(puppet, "<think>\nHm.\n</think>\n\nYes.")
    answer = ChatLlamacy(model=puppet).invoke("Warm?", **said)
    assert answer.content == "Yes."
    assert answer.additional_kwargs["reasoning_content"] == "Hm."
    types = [block["type"] for block in answer.content_blocks]
    assert types == ["reasoning", "text"]
    assert to_dicts([answer])[0]["reasoning_content"] == "Hm."
    v1 = ChatLlamacy(model=puppet, output_version="v1").invoke(
        "Warm?", **saying(puppet, "<think>\nHm.\n</think>\n\nYes.")
    )
    assert isinstance(v1.content, list)
    assert to_dicts([v1]) == to_dicts([answer])


def test_image_in_a_message_is_refused(chat: ChatLlamacy) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    with pytest.raises(llamacy.ArgumentError, match="content"):
        chat.invoke([HumanMessage([image])])


# Schemas.


def unthinking(puppet: llamacy.Model, **options: Any) -> ChatLlamacy:
    """Return a chat with a random model, whose reasoning would have no end."""
    return ChatLlamacy(model=puppet, temperature=0, chat_format=UNTHINKING, **options)


@pytest.mark.parametrize("choice", ["any", "required", "add", True])
def test_a_tool_call_can_be_forced(puppet: llamacy.Model, choice: Any) -> None:
    chat = unthinking(puppet, max_tokens=300)
    small = {
        "name": "add",
        "description": "Add.",
        "parameters": {"properties": {"a": {"enum": [1, 2]}}, "required": ["a"]},
    }
    (call,) = (
        chat.bind_tools([small], tool_choice=choice).invoke("1 + 2?").tool_calls[:1]
    )
    assert (call["name"], call["args"]["a"] in (1, 2)) == ("add", True)


def test_no_tool_is_offered_where_the_choice_is_none(chat: ChatLlamacy) -> None:
    assert chat.bind_tools([add], tool_choice="none").kwargs["tools"] == []


def test_an_answer_follows_a_schema(puppet: llamacy.Model) -> None:
    chat = unthinking(puppet, max_tokens=60)
    schema: dict[str, Any] = {"title": "S", "type": "object", "required": ["a"]}
    schema |= {"description": "S.", "properties": {"a": {"enum": [1, 22]}}}
    made = chat.with_structured_output(schema, method="json_schema").invoke("1 + 2?")
    assert made["a"] in (1, 22)

    class Small(BaseModel):
        ok: bool

    structured = chat.with_structured_output(Small, method="json_schema")
    assert isinstance(structured.invoke("1 + 2?"), Small)
    bound: Any = chat.with_structured_output(Small, method="json_mode")
    assert bound.first.kwargs["response_format"] == {"type": "json_object"}


def test_unknown_options_of_structured_output_are_refused(chat: ChatLlamacy) -> None:
    with pytest.raises(llamacy.ArgumentError, match="method: wanted one of"):
        chat.with_structured_output(Sum, method="magic")
    with pytest.raises(llamacy.ArgumentError, match="unknown option"):
        chat.with_structured_output(Sum, colour="red")


def test_tool_call_becomes_an_object_of_the_schema(puppet: llamacy.Model) -> None:
    said = CALL.replace("add", "Sum")
    model = ChatLlamacy(model=puppet).with_structured_output(Sum)
    assert model.invoke("1 + 2?", **saying(puppet, said)) == Sum(a=1, b=2)


def test_text_in_place_of_a_schema_is_an_error(puppet: llamacy.Model) -> None:
    chat = ChatLlamacy(model=puppet, temperature=0, max_tokens=3)
    with pytest.raises(OutputParserException, match="found a text: 'Three.'"):
        model = chat.with_structured_output(Sum)
        model.invoke("1 + 2?", max_tokens=20, **saying(puppet, "Three."))
    both: Any = chat.with_structured_output(Sum, include_raw=True)
    result = both.invoke("1 + 2?")
    assert result["raw"].usage_metadata["output_tokens"] == 3
    assert result["parsed"] is None
    assert isinstance(result["parsing_error"], OutputParserException)


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(llamacy.ArgumentError, match="messages: wanted at least one"):
        ChatLlamacy(model="demo").invoke([])


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copies_answer_as_the_original(copied: Callable[[Any], Any]) -> None:
    chat = ChatLlamacy(model="demo", temperature=0)
    twin = copied(chat)
    assert twin.loaded is chat.loaded
    assert twin.invoke("What is 12 + 30?").content == "42"


def test_a_copy_shares_a_model_that_was_given() -> None:
    with llamacy.load("demo") as model:
        chat = ChatLlamacy(model=model)
        assert copy.deepcopy(chat).loaded is model
