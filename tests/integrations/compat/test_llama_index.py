"""LlamaIndex's class for llama-cpp-python runs on `llamacy.compat`, unmodified."""

from __future__ import annotations

import pytest

import llamacy

pytest.importorskip("llama_index.core")
pytest.importorskip("llama_index.llms.llama_cpp")

from llama_index.core.llms import ChatMessage
from llama_index.llms.llama_cpp import LlamaCPP

pytestmark = pytest.mark.integrations

PROMPT = "The capital of France is"


@pytest.fixture(scope="module")
def llm(demo_path: str) -> LlamaCPP:
    return LlamaCPP(
        model_path=demo_path,
        temperature=0.0,
        max_new_tokens=8,
        context_window=256,
        model_kwargs={"n_gpu_layers": -1},
        completion_to_prompt=lambda completion: completion,
    )


def test_a_text_is_the_one_llamacy_generates(llm: LlamaCPP) -> None:
    with llamacy.load("demo") as model:
        wanted = model.generate(PROMPT, temperature=0, max_tokens=8).text
    assert llm.complete(PROMPT).text == wanted
    chunks = list(llm.stream_complete(PROMPT))
    assert "".join(chunk.delta for chunk in chunks) == chunks[-1].text == wanted


def test_the_size_of_the_context_is_known(llm: LlamaCPP) -> None:
    assert llm.metadata.context_window == 256


def test_messages_are_answered(llm: LlamaCPP) -> None:
    messages = [ChatMessage(role="user", content=PROMPT)]
    answer = llm.chat(messages).message.content
    assert answer
    assert "".join(chunk.delta for chunk in llm.stream_chat(messages)) == answer
