"""The package anthropic, unmodified."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import llamacy
from tests.support.served import Slow, running
from tests.support.waiting import wait_until

anthropic = pytest.importorskip("anthropic")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
THOUGHT = "<think>\nHm.\n</think>\n\n"
COLD = {"temperature": 0}  # no argument of the newest client
TOOL = {
    "name": "add",
    "description": "Add.",
    "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


def user(text: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def create(client: Any) -> Any:
    def create(given: Any, **options: Any) -> Any:
        messages = user(given) if isinstance(given, str) else given
        options = {"model": "puppet", "max_tokens": 400} | options
        return client.messages.create(messages=messages, **options)

    return create


def test_a_message_has_text_and_usage(create: Any) -> None:
    message = create("say It is sunny.", system="Be kind.")
    assert [block.text for block in message.content] == ["It is sunny."]
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert (message.role, message.model) == ("assistant", "puppet")
    assert message._request_id.startswith("req_")
    again = create("say It is sunny.", system="Be kind.")
    assert again.usage.cache_read_input_tokens > 0
    both = again.usage.cache_read_input_tokens + again.usage.input_tokens
    first = message.usage.cache_read_input_tokens + message.usage.input_tokens
    assert both == first


def test_an_answer_says_why_it_ended(create: Any) -> None:
    assert create("say It is sunny.", max_tokens=3).stop_reason == "max_tokens"
    stopped = create("say It is sunny.", stop_sequences=["rain", "sun"])
    assert (stopped.stop_reason, stopped.stop_sequence) == ("stop_sequence", "sun")
    assert stopped.content[0].text == "It is "
    called = create(f"say {CALL}", tools=[TOOL])
    assert called.stop_reason == "tool_use"


def test_a_stream_has_text_and_a_final_message(client: Any) -> None:
    options = {"model": "puppet", "max_tokens": 400, "messages": user("say sunny")}
    with client.messages.stream(**options) as stream:
        assert "".join(stream.text_stream) == "sunny"
        final = stream.get_final_message()
    assert final.content[0].text == "sunny"
    assert final.usage.output_tokens > 3
    assert final.stop_reason == "end_turn"
    kinds = [one.type for one in client.messages.create(**options, stream=True)]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_tools_can_be_called_in_turn(create: Any, client: Any) -> None:
    asked = user(f"say {CALL}")
    message = create(asked, tools=[TOOL])
    (call,) = message.content
    assert (call.type, call.name, call.input) == ("tool_use", "add", {"a": 1})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "3"}
    answered = [
        *asked,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result]},
    ]
    assert create(answered, tools=[TOOL]).content[0].text == "The tool said 3"
    with client.messages.stream(
        model="puppet", max_tokens=400, messages=asked, tools=[TOOL]
    ) as stream:
        parts = [one.partial_json for one in stream if one.type == "input_json"]
        final = stream.get_final_message()
    assert [block.input for block in final.content] == [{"a": 1}]
    assert len(parts) > 1
    assert "".join(parts) == '{"a": 1}'
    assert final.stop_reason == "tool_use"


def test_parallel_calls_can_be_switched_off(create: Any) -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    options: dict[str, Any] = {"tools": [TOOL], "tool_choice": choice}
    assert len(create(f"say {CALL}\n{CALL}", **options).content) == 1
    events = list(create(f"say {CALL}\n{CALL}", stream=True, **options))
    begun = [one for one in events if one.type == "content_block_start"]
    assert [one.content_block.type for one in begun] == ["tool_use"]
    assert events[-2].delta.stop_reason == "tool_use"


def test_reasoning_is_shown_to_those_that_ask_for_it(create: Any, client: Any) -> None:
    text = f"say {THOUGHT}Yes."
    assert [block.type for block in create(text).content] == ["text"]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    message = create(text, thinking=thinking)
    thought, said = message.content
    assert (thought.thinking.strip(), said.text) == ("Hm.", "Yes.")
    told = [*user(text), {"role": "assistant", "content": message.content}]
    assert create([*told, *user("say y")]).content[0].text == "y"
    with client.messages.stream(
        model="puppet", max_tokens=400, messages=user(text), thinking=thinking
    ) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].signature


def test_the_beginning_of_an_answer_is_continued(create: Any) -> None:
    begun = [*user("What is 12 + 30?"), {"role": "assistant", "content": "4"}]
    assert create(begun, model="demo", extra_body=COLD).content[0].text == "2"


def test_blocks_for_bills_do_not_spoil_the_cache(create: Any) -> None:
    def ask(hash: str) -> Any:
        billing = f"x-anthropic-billing-header: cch={hash}"
        system = [
            {"type": "text", "text": billing},
            {
                "type": "text",
                "text": "Be kind.",
                "cache_control": {"type": "ephemeral"},
            },
        ]
        return create("say This is the same every time", system=system).usage

    ask("0a1b")
    assert ask("2c3d").cache_read_input_tokens > ask("2c3d").input_tokens


def test_tokens_are_counted_as_they_will_be_read(client: Any, create: Any) -> None:
    fields: dict[str, Any] = {"messages": user("say yes"), "system": "Be kind."}
    fields |= {"model": "puppet", "tools": [TOOL]}
    counted = client.messages.count_tokens(**fields).input_tokens
    usage = client.messages.create(**fields, max_tokens=3).usage
    assert counted == usage.input_tokens + usage.cache_read_input_tokens


def test_models_are_listed(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["puppet", "demo"]


@pytest.mark.parametrize("max_tokens", [8192, 21333])
def test_more_tokens_than_the_context_has_may_be_asked_for(
    create: Any, max_tokens: int
) -> None:
    options: dict[str, Any] = {"model": "demo", "extra_body": COLD}
    answer = create("What is 12 + 30?", max_tokens=max_tokens, **options)
    assert answer.content[0].text == "42"


def test_mistakes_have_anthropics_shape_and_are_not_tried_again(url: str) -> None:
    with anthropic.Anthropic(base_url=url, api_key="k") as client:

        def ask(**fields: Any) -> None:
            options: dict[str, Any] = {"model": "puppet", "max_tokens": 9}
            client.messages.create(**options | {"messages": user("hi")} | fields)

        mistakes: list[tuple[dict[str, Any], str]] = [
            ({"extra_body": {"temperature": "hot"}}, "temperature"),
            ({"messages": [{"role": "x", "content": ""}]}, r"messages\[0\]"),
            ({"messages": user([{"type": "image"}])}, r"messages\[0\]\.content\[0\]"),
            ({"tools": [{"type": "bash_20250124", "name": "b"}]}, r"tools\[0\]\.type"),
            ({"tool_choice": {"type": "any"}}, "tool_choice"),
            ({"extra_body": {"colour": "x"}}, "colour"),
        ]
        for fields, field in mistakes:
            with pytest.raises(anthropic.BadRequestError, match=field) as caught:
                ask(**fields)
            body = caught.value.body
            assert body["type"] == "error"
            assert body["error"]["type"] == "invalid_request_error"
        with pytest.raises(anthropic.NotFoundError) as caught:
            ask(model="claude")
        assert caught.value.body["error"]["type"] == "not_found_error"
        with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
            ask(messages=user("word " * 4000), stream=True)


def test_answers_have_the_form_that_was_asked_for(client: Any) -> None:
    from pydantic import create_model

    decided = create_model("Decided", yes=(bool, ...))
    message = client.messages.parse(
        model="demo",
        max_tokens=200,
        messages=user("Tell me a story."),
        output_format=decided,
    )
    assert message.parsed_output.yes in (True, False)


def test_a_tool_can_be_demanded(create: Any) -> None:
    for choice in ({"type": "any"}, {"type": "tool", "name": "add"}):
        message = create(f"say {CALL}", tools=[TOOL], tool_choice=choice)
        assert [block.input for block in message.content] == [{"a": 1}]


def test_closing_a_stream_frees_the_model(create: Any, puppet: llamacy.Model) -> None:
    long = "say " + "all work and no play " * 100
    stream = create(long, stream=True, max_tokens=5000)
    next(iter(stream))
    stream.close()
    wait_until(lambda: puppet.engine.load().n_active == 0)


def test_the_key_may_be_a_token_and_comments_are_ignored(
    puppet: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.server import app

    slow = Slow(puppet, monkeypatch)
    threading.Timer(0.4, slow.go_on.set).start()
    ask: dict[str, Any] = {"model": "puppet", "max_tokens": 9}
    ask["messages"] = user("say yes")
    with running(app({"puppet": puppet}, api_keys=["k"], quiet_seconds=0.1)) as url:
        with anthropic.Anthropic(base_url=url, auth_token="k") as client:
            with client.messages.stream(**ask) as stream:
                assert stream.get_final_text() == "yes"
            # whatever the version is
            headers = {"anthropic-version": "2023-06-01"}
            client.messages.create(**ask, extra_headers=headers)
        with anthropic.Anthropic(base_url=url, api_key="k") as client:
            client.messages.create(**ask)
        with anthropic.Anthropic(base_url=url, api_key="x") as client:
            with pytest.raises(anthropic.AuthenticationError):
                client.messages.create(**ask)
