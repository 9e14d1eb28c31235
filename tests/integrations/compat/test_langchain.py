"""LangChain's classes for llama-cpp-python run on `llamacy.compat`, unmodified."""

from __future__ import annotations

import asyncio
import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import llamacy
from tests.support.tool_templates import UNTHINKING

pytest.importorskip("langchain_community")

from langchain_community.chat_models import ChatLlamaCpp
from langchain_community.embeddings import LlamaCppEmbeddings
from langchain_community.llms import LlamaCpp
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import PromptTemplate

if TYPE_CHECKING:
    from tests.integrations.compat.conftest import Told

pytestmark = pytest.mark.integrations

PROMPT = "The capital of France is"
OPTIONS: dict[str, Any] = {"temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": 8}
CALL = '<tool_call>{"name": "weather", "arguments": {"city": "Köln"}}</tool_call>'


class Tokens(BaseCallbackHandler):
    """Collects the texts that a stream is made of."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_llm_new_token(self, token: str, **_: Any) -> None:
        self.texts.append(token)


def weather(city: str) -> str:
    """Say the weather."""
    return f"It rains in {city}."


@pytest.fixture(scope="module")
def llm() -> LlamaCpp:
    return LlamaCpp(model_path="demo", **OPTIONS)


@pytest.fixture(scope="module")
def chat(puppet_path: str) -> ChatLlamaCpp:
    return ChatLlamaCpp(model_path=puppet_path, n_ctx=2048, **OPTIONS)


def test_a_text_is_the_one_llamacy_generates(llm: LlamaCpp) -> None:
    with llamacy.load("demo") as model:
        wanted = model.generate(PROMPT, temperature=0, max_tokens=8).text
    assert llm.invoke(PROMPT) == wanted
    assert asyncio.run(llm.ainvoke(PROMPT)) == wanted
    assert llm.batch([PROMPT, PROMPT]) == [wanted, wanted]
    whole = LlamaCpp(model_path="demo", streaming=False, echo=True, **OPTIONS)
    assert whole.invoke(PROMPT) == PROMPT + wanted


def test_a_stream_reaches_the_caller_and_the_callbacks(llm: LlamaCpp) -> None:
    tokens = Tokens()
    texts = list(llm.stream(PROMPT, config={"callbacks": [tokens]}))
    assert "".join(texts) == llm.invoke(PROMPT)
    assert len(tokens.texts) > 1
    assert [text for text in tokens.texts if text] == [text for text in texts if text]


def test_a_stop_string_ends_a_text(llm: LlamaCpp) -> None:
    text = llm.invoke(PROMPT)
    assert llm.invoke(PROMPT, stop=[text[3:]]) == text[:3]


def test_tokens_are_counted_by_the_models_own_vocabulary(llm: LlamaCpp) -> None:
    with llamacy.load("demo") as model:
        assert llm.get_num_tokens(PROMPT) == len(model.tokenize(PROMPT))


def test_a_chain_ends_in_a_text(llm: LlamaCpp) -> None:
    template = PromptTemplate.from_template("The capital of {country} is")
    chain = template | llm | StrOutputParser()
    assert chain.invoke({"country": "France"}) == llm.invoke(PROMPT)


def test_langchains_defaults_need_no_warning_but_for_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llamacy.compat.llama_cpp.ignoring._told", set())
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        LlamaCpp(model_path="demo")
    ignored = [str(one.message) for one in found if "ignored" in str(one.message)]
    assert [text.rpartition(": ")[2] for text in ignored] == ["n_batch"]


def test_an_answer_comes_whole_and_in_a_stream(chat: ChatLlamaCpp, told: Told) -> None:
    messages = [SystemMessage("Be brief."), HumanMessage("bada")]
    answer = chat.invoke(messages, **told(chat.client, "It is sunny."))
    assert answer.content == "It is sunny."
    assert answer.response_metadata["finish_reason"] == "stop"
    chunks = list(chat.stream(messages, **told(chat.client, "It is sunny.")))
    assert "".join(chunk.content for chunk in chunks) == "It is sunny."
    # ChatLlamaCpp.invoke gives no stop strings to a model that streams
    stopped = chat.stream(messages, stop=["sun"], **told(chat.client, "It is sunny."))
    assert "".join(chunk.content for chunk in stopped) == "It is "


@pytest.mark.parametrize("streaming", [True, False])
def test_a_tool_is_called_and_its_result_read(
    puppet_path: str, streaming: bool, told: Told
) -> None:
    options = {"n_ctx": 2048, "streaming": streaming, **OPTIONS}
    chat = ChatLlamaCpp(model_path=puppet_path, **options)
    caller = chat.bind_tools([weather])
    question = HumanMessage("How is the weather in Köln?")
    answer = caller.invoke([question], **told(chat.client, CALL))
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Köln"})
    result = ToolMessage(weather(**call["args"]), tool_call_id=call["id"])
    last = caller.invoke(
        [question, answer, result], **told(chat.client, "Take an umbrella.")
    )
    assert last.content == "Take an umbrella."


def test_texts_follow_grammars(tmp_path: Path) -> None:
    grammar = tmp_path / "yes.gbnf"
    grammar.write_text('root ::= "yes"', encoding="utf-8")
    for given in ({"grammar": 'root ::= "yes"'}, {"grammar_path": grammar}):
        llm = LlamaCpp(model_path="demo", **given)
        assert llm.invoke(PROMPT) == "yes"


def test_answers_follow_schemas(puppet_path: str) -> None:
    options = {**OPTIONS, "max_tokens": 200, "n_ctx": 2048}
    options["model_kwargs"] = {"chat_format": UNTHINKING}
    chat = ChatLlamaCpp(model_path=puppet_path, **options)
    schema: dict[str, Any] = {"title": "Answer", "description": "It.", "type": "object"}
    schema |= {"properties": {"city": {"enum": ["Rome", "Oslo"]}}, "required": ["city"]}
    found = chat.with_structured_output(schema).invoke("bada")
    assert found["city"] in ("Rome", "Oslo")
    form = {"type": "json_object", "schema": schema}
    answer = chat.bind(response_format=form).invoke("bada")
    assert json.loads(str(answer.content))["city"] in ("Rome", "Oslo")


def test_embeddings_are_those_of_the_model() -> None:
    """Of each token, as in llama-cpp-python, where a file does not say how to pool."""
    texts = ["Once upon a time", "The end."]
    found = LlamaCppEmbeddings(model_path="demo").embed_documents(texts)
    with llamacy.load("demo") as model:
        wanted = model.embed(texts, pooling="none")
    np.testing.assert_allclose(found, np.concatenate(wanted), rtol=1e-5, atol=1e-6)


def test_an_error_names_the_argument(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.gguf"):
        LlamaCpp(model_path=str(tmp_path / "none.gguf"))
    with pytest.raises(ValueError, match="rope_freq_scale: wanted 0.0, or 1 as in"):
        LlamaCpp(model_path="demo", rope_freq_scale=0.5)
