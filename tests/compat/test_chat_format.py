"""Chat handlers and formatters that scripts write."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.compat.llama_cpp import Llama, handlers
from llamacy.compat.llama_cpp.llama_chat_format import (
    ChatFormatterResponse,
    Jinja2ChatFormatter,
    LlamaChatCompletionHandlerNotFoundException,
    get_chat_completion_handler,
    hf_tokenizer_config_to_chat_completion_handler,
    register_chat_completion_handler,
    register_chat_format,
)

MESSAGES: Any = [{"role": "user", "content": "bada"}]
GREEDY: Any = {"max_tokens": 6, "temperature": 0.0, "logit_bias": {2: -1e9}}
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %} assistant:{% endif %}"
)
CONFIG = {"chat_template": TEMPLATE, "bos_token": {"content": "<s>"}}


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "_handlers", {})


@pytest.fixture
def made(babble_model: Path) -> Iterator[Callable[..., Llama]]:
    """Make a Llama that is closed at the end of the test."""
    opened: list[Llama] = []

    def make(**options: Any) -> Llama:
        opened.append(Llama(str(babble_model), n_ctx=0, **options))
        return opened[-1]

    yield make
    for llm in opened:
        llm.close()


def content(response: Any) -> str:
    text: str = response["choices"][0]["message"]["content"]
    return text


def test_a_template_makes_the_prompt(made: Callable[..., Llama]) -> None:
    formatter = Jinja2ChatFormatter(TEMPLATE, eos_token="</s>", bos_token="<s>")
    assert formatter(messages=MESSAGES).prompt == "<s>user: bada assistant:"
    llm = made(chat_handler=formatter.to_chat_handler())
    response = llm.create_chat_completion(MESSAGES, **GREEDY)
    wanted = llm("<s>user: bada assistant:", **GREEDY)
    assert content(response) == wanted["choices"][0]["text"]
    assert response["object"] == "chat.completion"
    assert response["usage"] == wanted["usage"]
    config = {**CONFIG, "eos_token": "</s>"}
    same = made(chat_handler=hf_tokenizer_config_to_chat_completion_handler(config))
    assert content(same.create_chat_completion(MESSAGES, **GREEDY)) == content(response)
    with pytest.raises(llamacy.ArgumentError, match=r"config\['eos_token'\]: wanted"):
        hf_tokenizer_config_to_chat_completion_handler(CONFIG)


def test_a_stream_adds_up_to_the_answer(made: Callable[..., Llama]) -> None:
    formatter = Jinja2ChatFormatter(TEMPLATE, eos_token="</s>", bos_token="<s>")
    llm = made(chat_handler=formatter.to_chat_handler())
    whole = llm.create_chat_completion(MESSAGES, **GREEDY)
    chunks = list(llm.create_chat_completion(MESSAGES, stream=True, **GREEDY))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant"}
    assert "".join(delta.get("content") or "" for delta in deltas) == content(whole)
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks][-1] == "length"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_logprobs_of_a_formatters_answer(made: Callable[..., Llama]) -> None:
    formatter = Jinja2ChatFormatter(TEMPLATE, eos_token="</s>", bos_token="<s>")
    options = {"logprobs": True, "top_logprobs": 2, **GREEDY}
    own = made(chat_format=TEMPLATE).create_chat_completion(MESSAGES, **options)
    llm = made(chat_handler=formatter.to_chat_handler())
    found = llm.create_chat_completion(MESSAGES, **options)["choices"][0]["logprobs"]
    wanted = own["choices"][0]["logprobs"]
    assert found is not None and wanted is not None
    for name in ("token", "bytes"):
        assert [one[name] for one in found["content"]] == (
            [one[name] for one in wanted["content"]]
        )
    assert [len(one["top_logprobs"]) for one in found["content"]] == [2] * 6


def test_a_token_can_end_a_formatters_answer(made: Callable[..., Llama]) -> None:
    llm = made()
    ids = llm.tokenize(b"<s>user: bada assistant:", False, True)
    first = next(llm.generate(ids, temp=0.0))
    formatter = Jinja2ChatFormatter(TEMPLATE, "</s>", "<s>", stop_token_ids=[first])
    answering = made(chat_handler=formatter.to_chat_handler())
    options: Any = {"max_tokens": 6, "temperature": 0.0}
    response = answering.create_chat_completion(MESSAGES, **options)
    assert response["choices"][0]["finish_reason"] == "stop"
    assert response["usage"]["completion_tokens"] == 1


def test_a_registered_format_is_found_by_its_name(made: Callable[..., Llama]) -> None:
    @register_chat_format("plain")
    def plain(messages: Any, **_: Any) -> ChatFormatterResponse:
        return ChatFormatterResponse(messages[-1]["content"], stop="zz")

    llm = made(chat_format="plain")
    wanted = llm("bada", **GREEDY)["choices"][0]["text"]
    assert content(llm.create_chat_completion(MESSAGES, **GREEDY)) == wanted
    stopped = llm.create_chat_completion(MESSAGES, stop=[wanted[1:]], **GREEDY)
    assert content(stopped) == wanted[:1]
    with pytest.raises(llamacy.ArgumentError, match="^name: wanted a new one"):
        register_chat_format("plain")(plain)
    with pytest.raises(llamacy.UnsupportedCallError, match="^tool_choice: wanted"):
        llm.create_chat_completion(MESSAGES, tool_choice="required")
    if importlib.util.find_spec("llguidance") is None:
        return
    for form in (
        {"grammar": 'root ::= "\\"yes\\""'},
        {"response_format": {"type": "json_object", "schema": {"const": "yes"}}},
    ):
        assert content(llm.create_chat_completion(MESSAGES, **form)) == '"yes"'


def test_a_handler_is_given_all_arguments(made: Callable[..., Llama]) -> None:
    given: dict[str, Any] = {}

    @register_chat_completion_handler("mine")
    def answer(*, llama: Llama, messages: Any, **arguments: Any) -> Any:
        given.update(arguments, llama=llama, messages=messages)
        return {"choices": [{"message": {"content": "Hm."}}]}

    llm = made(chat_format="mine")
    assert content(llm.create_chat_completion(MESSAGES, top_k=3)) == "Hm."
    assert (given["llama"], given["messages"], given["top_k"]) == (llm, MESSAGES, 3)
    assert (given["stream"], given["max_tokens"], given["top_p"]) == (False, None, 0.95)
    assert get_chat_completion_handler("mine") is answer
    with pytest.raises(LlamaChatCompletionHandlerNotFoundException, match="'other'"):
        get_chat_completion_handler("other")
    with pytest.raises(TypeError, match="nonsense"):
        llm.create_chat_completion(MESSAGES, nonsense=1)  # type: ignore[call-overload]


def test_a_handler_is_a_function(babble_model: Path) -> None:
    with pytest.raises(llamacy.ArgumentError, match="^chat_handler: wanted"):
        Llama(str(babble_model), chat_handler="chatml")  # type: ignore[arg-type]
