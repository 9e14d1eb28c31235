"""The package openai, unmodified, with a server of its own kind."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support.served import Slow, obedient, running
from tests.support.waiting import wait_until

openai = pytest.importorskip("openai")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": "ü"}}\n</tool_call>'
CALL_1 = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}
REGEX = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["a"],
    "additionalProperties": False,
}


def user(text: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def create(client: Any) -> Any:
    """Ask the model that says what it is told."""

    def create(text: Any, **options: Any) -> Any:
        messages = user(text) if isinstance(text, str) else text
        return client.chat.completions.create(
            model="puppet", messages=messages, **options
        )

    return create


def test_models_are_listed_and_described(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["puppet", "demo"]
    assert client.models.retrieve("demo").owned_by == "llamacy"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"


def test_an_answer_has_text_usage_and_a_request_id(create: Any) -> None:
    answer = create("say It is sunny.")
    assert answer.choices[0].message.content == "It is sunny."
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "puppet"
    assert answer.usage.total_tokens == (
        answer.usage.prompt_tokens + answer.usage.completion_tokens
    )
    assert answer._request_id.startswith("req_")


def test_a_prompt_that_was_read_before_counts_as_cached(create: Any) -> None:
    create("Remember this sentence for later, then say yes")
    again = create("Remember this sentence for later, then say yes")
    details = again.usage.prompt_tokens_details
    assert 0 < details.cached_tokens < again.usage.prompt_tokens


def test_a_stream_has_pieces_and_usage_at_its_end(create: Any) -> None:
    options = {"include_usage": True}
    *chunks, last = create("say It is sunny.", stream=True, stream_options=options)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "It is sunny."
    assert len(chunks) > 4
    assert [chunk.usage for chunk in chunks] == [None] * len(chunks)
    assert last.choices == []
    assert last.usage.completion_tokens > 4
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_several_answers_have_indices_whole_and_streamed(create: Any) -> None:
    whole = create("say yes", n=3)
    assert [(one.index, one.message.content) for one in whole.choices] == [
        (index, "yes") for index in range(3)
    ]
    texts = ["", "", ""]
    for chunk in create("say yes", n=3, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].delta.content or ""
    assert texts == ["yes"] * 3


def test_a_seed_decides_each_of_several_answers(client: Any) -> None:
    ask = {"model": "demo", "prompt": "Once upon a time", "n": 3, "temperature": 2}

    def texts(**options: Any) -> list[str]:
        answer = client.completions.create(**ask, **options)
        return [choice.text for choice in answer.choices]

    def streamed(**options: Any) -> list[str]:
        texts = [""] * 3
        for chunk in client.completions.create(**ask, **options, stream=True):
            texts[chunk.choices[0].index] += chunk.choices[0].text
        return texts

    assert texts(seed=-7) == texts(seed=-7) == streamed(seed=-7)
    assert len(set(texts(seed=-7))) > 1
    assert texts(seed=-7) != texts(seed=8)


def test_stop_max_tokens_and_bias_end_and_change_a_text(client: Any) -> None:
    ask = client.chat.completions.create
    story: dict[str, Any] = {"model": "demo", "messages": user("Tell me a story.")}
    cut = ask(**story, max_completion_tokens=3)
    assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 3)
    stopped = ask(**story, stop=["."], temperature=0)
    assert stopped.choices[0].finish_reason == "stop"
    assert "." not in stopped.choices[0].message.content
    question = {"model": "demo", "messages": user("What is 12 + 30?"), "temperature": 0}
    assert ask(**question).choices[0].message.content == "42"
    (entry, *_) = ask(**question, logprobs=True).choices[0].logprobs.content
    assert entry.token == "4"
    token = llamacy.load("demo").tokenize("4", add_bos=False)[-1]
    biased = ask(**question, logit_bias={str(token): -100})
    assert not biased.choices[0].message.content.startswith("4")


def test_logprobs_are_those_of_the_library(client: Any, demo: llamacy.Model) -> None:
    options: dict[str, Any] = {"temperature": 0, "logprobs": True, "top_logprobs": 2}
    answer = client.chat.completions.create(
        model="demo", messages=user("What is 12 + 30?"), **options
    )
    own = demo.chat("What is 12 + 30?", temperature=0, logprobs=2)
    found = answer.choices[0].logprobs.content
    assert own.logprobs is not None
    assert [one.logprob for one in found] == [one.logprob for one in own.logprobs]
    assert bytes(byte for one in found for byte in one.bytes) == b"42"
    assert [len(one.top_logprobs) for one in found] == [2, 2]


def test_reasoning_goes_both_ways(create: Any) -> None:
    message = create("say <think>\nHm.\n</think>\n\nYes.").choices[0].message
    assert message.content == "Yes."
    assert message.reasoning_content.strip() == "Hm."
    told = [*user("say x"), message.model_dump(exclude_none=True), *user("say y")]
    assert create(told).choices[0].message.content == "y"
    chunks = [
        one.choices[0].delta
        for one in create("say <think>\nHm.\n</think>\n\nYes.", stream=True)
    ]
    thought = "".join(getattr(one, "reasoning_content", None) or "" for one in chunks)
    assert thought.strip() == "Hm."
    assert "".join(one.content or "" for one in chunks) == "Yes."


def test_tool_calls_can_be_answered(create: Any) -> None:
    asked = user(f"say {CALL}")
    answer = create(asked, tools=[TOOL])
    assert answer.choices[0].finish_reason == "tool_calls"
    message = answer.choices[0].message
    assert message.content is None
    (call,) = message.tool_calls
    assert (call.function.name, call.type) == ("add", "function")
    assert call.function.arguments == '{"a": 1, "b": "ü"}'
    result = {"role": "tool", "tool_call_id": call.id, "content": "3"}
    after = create([*asked, message.model_dump(), result], tools=[TOOL])
    assert after.choices[0].message.content == "The tool said 3"


def test_a_streamed_call_has_id_name_and_type_once(client: Any) -> None:
    messages = user(f"say {CALL}\n{CALL}")
    ask: dict[str, Any] = {"model": "puppet", "messages": messages, "tools": [TOOL]}
    with client.chat.completions.stream(**ask) as stream:
        final = stream.get_final_completion().choices[0]
    calls = final.message.tool_calls
    assert [call.function.name for call in calls] == ["add", "add"]
    assert len({call.id for call in calls}) == 2
    assert final.finish_reason == "tool_calls"
    raw = client.chat.completions.create(**ask, stream=True)
    deltas = [one for chunk in raw for one in chunk.choices[0].delta.tool_calls or []]
    assert {delta.index for delta in deltas} == {0, 1}
    named = [delta for delta in deltas if delta.id]
    assert [(one.type, one.function.name) for one in named] == [("function", "add")] * 2
    rest = [delta for delta in deltas if delta.index == 0 and not delta.id]
    assert all(one.type is one.function.name is None for one in rest)
    assert len(rest) > 1, "the arguments come as they are written"


def test_parallel_tool_calls_can_be_switched_off(create: Any) -> None:
    options: dict[str, Any] = {"tools": [TOOL], "parallel_tool_calls": False}
    (call,) = create(f"say {CALL}\n{CALL}", **options).choices[0].message.tool_calls
    assert call.function.name == "add"
    chunks = list(create(f"say {CALL}\n{CALL}", stream=True, **options))
    deltas = [one for each in chunks for one in each.choices[0].delta.tool_calls or ()]
    assert {one.index for one in deltas} == {0}
    assert json.loads("".join(one.function.arguments for one in deltas)) == {
        "a": 1,
        "b": "ü",
    }
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_answers_have_the_form_that_was_asked_for(client: Any) -> None:
    from pydantic import Field, create_model

    numbered = create_model("Numbered", a=(int, Field(ge=0, le=99)))
    story: dict[str, Any] = {"model": "demo", "messages": user("Tell me a story.")}
    parsed = client.chat.completions.parse(**story, response_format=numbered)
    assert 0 <= parsed.choices[0].message.parsed.a <= 99
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    chunks = client.chat.completions.create(
        **story, response_format=schema, stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert 0 <= json.loads(text)["a"] <= 99
    response = client.responses.parse(
        model="demo", input="Tell me a story.", text_format=numbered
    )
    assert 0 <= response.output_parsed.a <= 99


def test_a_tool_can_be_demanded(create: Any) -> None:
    named = {"type": "function", "function": {"name": "add"}}
    for choice in ("required", named):
        answer = create(f"say {CALL_1}", tools=[TOOL], tool_choice=choice).choices[0]
        (call,) = answer.message.tool_calls
        assert json.loads(call.function.arguments) == {"a": 1}


def test_tool_choice_none_leaves_the_tools_out(create: Any) -> None:
    message = create(f"say {CALL}", tools=[TOOL], tool_choice="none").choices[0].message
    assert message.tool_calls is None


def test_parts_of_a_content_are_lines(create: Any, client: Any) -> None:
    parts = [{"type": "text", "text": text} for text in ("say one", "two")]
    assert create(user(parts)).choices[0].message.content == "one\ntwo"


def test_the_last_message_of_the_assistant_is_continued(client: Any) -> None:
    begun = [*user("What is 12 + 30?"), {"role": "assistant", "content": "4"}]
    answer = client.chat.completions.create(model="demo", messages=begun, temperature=0)
    assert answer.choices[0].message.content == "2"


def test_the_developer_is_the_system(client: Any, create: Any) -> None:
    messages = [{"role": "developer", "content": "Be kind."}, *user("say yes")]
    assert create(messages).choices[0].message.content == "yes"


def test_completions_echo_and_score_their_prompt(client: Any) -> None:
    ask: dict[str, Any] = {"model": "demo", "temperature": 0, "max_tokens": 4}
    one = client.completions.create(
        **ask, prompt="The capital of France is", echo=True, logprobs=1
    )
    (choice,) = one.choices
    assert choice.text == "The capital of France is Paris"
    assert choice.logprobs.token_logprobs[0] is None
    assert len(choice.logprobs.tokens) == len(choice.logprobs.token_logprobs)
    prompts = ["The capital of France is", "The capital of Italy is"]
    both = client.completions.create(**ask, prompt=prompts, n=2)
    assert [each.text for each in both.choices] == [" Paris"] * 2 + [" Rome"] * 2
    texts = ["", ""]
    for chunk in client.completions.create(**ask, prompt=prompts, stream=True):
        texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [" Paris", " Rome"]


def test_streamed_completions_echo_and_score_their_prompt(client: Any) -> None:
    ask: dict[str, Any] = {"model": "demo", "temperature": 0, "max_tokens": 4}
    ask |= {"prompt": "The capital of France is", "echo": True, "logprobs": 1}
    whole = client.completions.create(**ask).choices[0].logprobs
    chunks = [one.choices[0] for one in client.completions.create(**ask, stream=True)]
    assert chunks[0].text == ask["prompt"]
    assert "".join(chunk.text for chunk in chunks) == "The capital of France is Paris"
    parts = [chunk.logprobs for chunk in chunks if chunk.logprobs]
    for name in ("tokens", "text_offset", "token_logprobs", "top_logprobs"):
        assert sum((getattr(one, name) for one in parts), []) == getattr(whole, name)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"n": 0}, "n"),
        ({"stop": [1]}, "stop"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"100000": 1}}, "logit_bias"),
        ({"max_tokens": 2.5}, "max_tokens"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": REGEX}, "response_format.json_schema.schema"),
        ({"tools": [TOOL], "tool_choice": "loudly"}, "tool_choice"),
        ({"messages": user([{"type": "image_url"}])}, "messages[0].content"),
        ({"extra_body": {"temprature": 1}}, "temprature"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
    ],
)
def test_mistakes_are_named_and_not_tried_again(
    url: str, options: dict[str, Any], field: str
) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k") as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                **{"model": "puppet", "messages": user("hi")} | options
            )
        assert caught.value.param == field
        assert caught.value.type == "invalid_request_error"


def test_a_prompt_that_is_too_long_has_openais_code(client: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="demo", messages=user("word " * 600))
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="demo", prompt="word " * 600, stream=True)
    assert (caught.value.code, caught.value.param) == (
        "context_length_exceeded",
        "prompt",
    )


def test_a_failure_in_a_stream_is_raised(
    create: Any, puppet: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ids: Any, logits: Any) -> None:
        if len(ids) > 60:
            raise llamacy.ModelOutputError("the weights are broken")

    told = puppet.engine.defaults
    (said,) = told.logits_processors  # type: ignore[misc]
    failing = replace(told, logits_processors=(fail, said))
    monkeypatch.setattr(puppet.engine, "defaults", failing)
    with pytest.raises(openai.APIError, match="the weights are broken"):
        list(create("say " + "all work " * 5, stream=True))


def test_a_busy_server_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.server import app

    go_on = threading.Event()

    def wait(ids: Any, logits: Any) -> None:
        go_on.wait(10)

    with obedient(tmp_path, max_waiting=0, n_batch=1) as model:
        told = model.engine.defaults
        (said,) = told.logits_processors  # type: ignore[misc]
        slow = replace(told, logits_processors=(wait, said))
        monkeypatch.setattr(model.engine, "defaults", slow)
        with (
            running(app({"puppet": model})) as url,
            openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=2) as client,
        ):
            ask = client.chat.completions.create
            first = threading.Thread(target=ask, kwargs=yes())
            first.start()
            wait_until(lambda: model.engine.load().n_active == 1)
            with pytest.raises(openai.RateLimitError) as caught:
                client.with_options(max_retries=0).chat.completions.create(**yes())
            assert caught.value.code == "queue_full"
            threading.Timer(0.2, go_on.set).start()
            answer = ask(**yes())
            first.join()
    assert answer.choices[0].message.content == "yes"


def yes() -> dict[str, Any]:
    return {"model": "puppet", "messages": user("say yes")}


def test_closing_a_stream_frees_the_model(create: Any, puppet: llamacy.Model) -> None:
    stream = create("say " + "all work and no play " * 200, stream=True)
    next(stream)
    stream.close()
    wait_until(lambda: puppet.engine.load().n_active == 0)


def test_a_timeout_frees_the_model(create: Any, puppet: llamacy.Model) -> None:
    with pytest.raises(openai.APITimeoutError):
        create("say " + "all work and no play " * 300, timeout=0.3)
    wait_until(lambda: puppet.engine.load().n_active == 0)


def test_async_clients_share_the_model(url: str) -> None:
    import asyncio

    async def main() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
            asked = [
                client.chat.completions.create(
                    model="demo", messages=user(f"What is {i} + 30?"), temperature=0
                )
                for i in range(12, 24)
            ]
            answers = await asyncio.gather(*asked)
        return [answer.choices[0].message.content for answer in answers]

    assert asyncio.run(main()) == [str(i + 30) for i in range(12, 24)]


def test_comments_in_a_quiet_stream_are_ignored(
    puppet: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.server import app

    slow = Slow(puppet, monkeypatch)
    threading.Timer(0.4, slow.go_on.set).start()
    with (
        running(app({"puppet": puppet}, quiet_seconds=0.1)) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client,
    ):
        chunks = list(client.chat.completions.create(**yes(), stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "yes"
