"""The package ollama, unmodified."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import llamacy
from tests.support.waiting import wait_until

ollama = pytest.importorskip("ollama")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>'
SHORT = {"num_predict": 3, "temperature": 0}
THOUGHT = "<think>\nHm.\n</think>\n\n"


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def add(a: int, b: int) -> int:
    """Add two numbers.

    Args:
      a: first
      b: second
    """
    return a + b


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    yield ollama.Client(host=url)


def test_an_answer_has_text_and_counts(client: Any) -> None:
    answer = client.chat("puppet:latest", user("say It is sunny."))
    assert answer.message.content == "It is sunny."
    assert answer.message.role == "assistant"
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert answer.prompt_eval_count > 0 < answer.eval_count
    assert answer.total_duration >= answer.eval_duration > 0


def test_a_stream_comes_line_by_line(client: Any) -> None:
    *parts, last = client.chat("puppet", user("say It is sunny."), stream=True)
    assert "".join(part.message.content for part in parts) == "It is sunny."
    assert len(parts) > 3
    assert not any(part.done for part in parts)
    assert (last.done, last.message.content) == (True, "")
    assert last.eval_count > 3


def test_options_have_ollamas_names(client: Any) -> None:
    options = {"num_predict": 3, "temperature": 0, "num_ctx": 4096, "nonsense": 3}
    answer = client.chat("demo", user("Tell me a story."), options=options)
    assert (answer.done_reason, answer.eval_count) == ("length", 3)
    stopped = client.chat("puppet", user("say a b c"), options={"stop": ["b"]})
    assert stopped.message.content == "a "


def test_tools_can_be_called_in_turn(client: Any) -> None:
    asked = user(f"say {CALL}")
    for stream in (False, True):
        made = client.chat("puppet", asked, tools=[add], stream=stream)
        parts = made if stream else [made]
        (call,) = [one for part in parts for one in part.message.tool_calls or []]
        assert call.function.name == "add"
        assert call.function.arguments == {"a": 1, "b": 2}
    answer = made if not stream else client.chat("puppet", asked, tools=[add])
    result = {"role": "tool", "tool_name": "add", "content": "3"}
    after = client.chat("puppet", [*asked, answer.message, result], tools=[add])
    assert after.message.content == "The tool said 3"


def test_thinking_can_be_switched_off(client: Any) -> None:
    asked = user(f"say {THOUGHT}Yes.")
    shown = client.chat("puppet", asked, think=True).message
    assert (shown.thinking.strip(), shown.content) == ("Hm.", "Yes.")
    hidden = client.chat("puppet", asked, think=False).message
    assert (hidden.thinking, hidden.content) == (None, "Yes.")
    parts = [part.message for part in client.chat("puppet", asked, stream=True)]
    assert "".join(part.thinking or "" for part in parts).strip() == "Hm."


def test_a_prompt_is_answered_or_continued(client: Any) -> None:
    answered = client.generate("puppet", "say yes", system="Be kind.")
    assert answered.response == "yes"
    raw: dict[str, Any] = {"raw": True, "options": {"temperature": 0}}
    prompt = "The capital of France is"
    assert client.generate("demo", prompt, **raw).response == " Paris"
    parts = list(client.generate("demo", prompt, stream=True, **raw))
    assert "".join(part.response for part in parts) == " Paris"
    assert parts[-1].done


def test_answers_have_the_form_that_was_asked_for(client: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99}},
        "required": ["a"],
    }
    answer = client.chat("demo", user("Tell me a story."), format=schema)
    assert 0 <= json.loads(answer.message.content)["a"] <= 99


def test_nothing_to_answer_loads_the_model(client: Any) -> None:
    assert client.generate("demo").done_reason == "load"
    assert client.chat("demo", []).done_reason == "load"


def test_models_are_listed_and_described(client: Any) -> None:
    listed = client.list().models
    assert [model.model for model in listed] == ["puppet", "demo"]
    assert all(model.size > 10_000 and model.digest for model in listed)
    shown = client.show("demo:latest")
    assert shown.details.family == "llama"
    assert shown.modelinfo["general.architecture"] == "llama"
    assert "tokenizer.ggml.tokens" not in shown.modelinfo
    assert shown.capabilities == ["completion"]
    assert client.show("puppet").capabilities == ["completion", "tools", "thinking"]
    loaded = client.ps().models
    assert [model.context_length for model in loaded] == [8192, 512]


def test_logprobs_come_where_they_are_asked_for(client: Any) -> None:
    asked = user("say yes")
    assert client.chat("puppet", asked).logprobs is None
    whole = client.chat("puppet", asked, logprobs=True, top_logprobs=2).logprobs
    assert {len(one.top_logprobs) for one in whole} == {2}
    parts = list(client.chat("puppet", asked, logprobs=True, stream=True))
    told = [one.token for part in parts for one in part.logprobs or ()]
    assert told == [one.token for one in whole]
    text = client.generate("demo", "Once", raw=True, logprobs=True, options=SHORT)
    assert len(text.logprobs) == 3
    *parts, _ = client.generate(
        "demo", "Once", raw=True, logprobs=True, stream=True, options=SHORT
    )
    assert sum(len(part.logprobs) for part in parts) == 3


def test_mistakes_have_ollamas_shape(client: Any) -> None:
    mistakes: list[tuple[Callable[[], Any], int, str]] = [
        (lambda: client.chat("llama9", user("hi")), 404, "does not exist"),
        (lambda: client.chat("demo", user("word " * 600)), 400, "too long"),
        (lambda: client.generate("demo", "hi", suffix="x"), 400, "suffix"),
        (lambda: client.chat("demo", user("hi"), options={"top_p": 9}), 400, "top_p"),
        (lambda: list(client.chat("x", user("hi"), stream=True)), 404, "not exist"),
    ]
    for ask, status, said in mistakes:
        with pytest.raises(ollama.ResponseError, match=said) as caught:
            ask()
        assert caught.value.status_code == status


def test_calls_that_change_models_are_refused_by_name(client: Any) -> None:
    asks: dict[str, Callable[[], Any]] = {
        "delete": lambda: client.delete("demo"),
        "copy": lambda: client.copy("demo", "other"),
        "create": lambda: client.create("other", from_="demo"),
        "push": lambda: client.push("demo"),
        "blobs": lambda: client.create_blob(__file__),
    }
    for name, ask in asks.items():
        with pytest.raises(ollama.ResponseError, match=f"^{name}: ") as caught:
            ask()
        assert caught.value.status_code == 403
    assert client.show("demo").details.family == "llama"


def test_leaving_a_stream_frees_the_model(client: Any, puppet: llamacy.Model) -> None:
    text = "say " + "all work and no play " * 100
    stream = client.chat("puppet", user(text), stream=True)
    next(stream)
    stream.close()
    wait_until(lambda: puppet.engine.load().n_active == 0)
