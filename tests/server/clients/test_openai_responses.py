"""The package openai's responses: items, events, and conversations that go on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'
TOOL = {
    "type": "function",
    "name": "add",
    "description": "Add.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "strict": True,
}


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def create(client: Any) -> Any:
    def create(given: Any = None, **options: Any) -> Any:
        return client.responses.create(model="puppet", input=given, **options)

    return create


def test_a_response_has_text_and_usage(create: Any) -> None:
    about = {"metadata": {"a": "b"}, "extra_body": {"client_metadata": {"turn": "1"}}}
    response = create("say It is sunny.", instructions="Be kind.", **about)
    assert response.output_text == "It is sunny."
    assert (response.status, response.model) == ("completed", "puppet")
    assert response.instructions == "Be kind."
    assert response.metadata == {"a": "b"}
    used = response.usage
    assert used.total_tokens == used.input_tokens + used.output_tokens
    assert used.input_tokens_details.cached_tokens >= 0


def test_a_response_that_is_cut_off_is_incomplete(create: Any) -> None:
    response = create("say It is sunny.", max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"


def test_a_conversation_goes_on_from_a_response(create: Any, client: Any) -> None:
    first = create("say one", instructions="Be kind.")
    second = create("say two", previous_response_id=first.id)
    assert second.output_text == "two"
    assert second.usage.input_tokens > first.usage.input_tokens
    third = create(
        [{"role": "user", "content": "say 3"}], previous_response_id=second.id
    )
    assert third.output_text == "3"
    assert client.responses.retrieve(first.id).output_text == "one"
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as caught:
        create("say two", previous_response_id=first.id)
    assert caught.value.param == "previous_response_id"


def test_a_response_need_not_be_stored(create: Any, client: Any) -> None:
    response = create("say one", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_calls_and_reasoning_go_both_ways_as_items(create: Any) -> None:
    asked = [{"role": "user", "content": f"say <think>\nHm.\n</think>\n\n{CALL}"}]
    first = create(asked, tools=[TOOL], store=False)
    reasoning, call = first.output
    assert reasoning.content[0].text.strip() == "Hm."
    assert (call.type, call.name, call.arguments) == (
        "function_call",
        "add",
        '{"a": 1}',
    )
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "3"}
    items = [one.model_dump(exclude_none=True) for one in first.output]
    after = create([*asked, *items, result], tools=[TOOL], store=False)
    assert after.output_text == "The tool said 3"


def test_an_answer_of_reasoning_alone_has_no_message(create: Any) -> None:
    for wants_stream in (False, True):
        made = create("say <think>\nHm.", max_output_tokens=9, stream=wants_stream)
        response = list(made)[-1].response if wants_stream else made
        assert [item.type for item in response.output] == ["reasoning"]


GROUPED_CALL = '<tool_call>\n{"name": "crm__add", "arguments": {"a": 1}}\n</tool_call>'
GROUP = {"type": "namespace", "name": "crm", "description": "About.", "tools": [TOOL]}


def test_functions_of_a_namespace_are_called_by_both_names(
    create: Any, client: Any
) -> None:
    tools = [GROUP, {**TOOL, "name": "other"}]
    asked = [{"role": "user", "content": f"say {GROUPED_CALL}"}]
    (call,) = create(asked, tools=tools, store=False).output
    assert (call.namespace, call.name, call.arguments) == ("crm", "add", '{"a": 1}')
    with client.responses.stream(
        model="puppet", input=asked, tools=tools, tool_choice={**TOOL}
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    added = next(one for one in events if one.type == "response.output_item.added")
    assert (added.item.namespace, added.item.name) == ("crm", "add")
    (call,) = final.output
    assert (call.namespace, call.name) == ("crm", "add")
    item = call.model_dump(exclude_none=True, exclude={"parsed_arguments"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "3"}
    after = create([*asked, item, result], tools=tools, store=False)
    assert after.output_text == "The tool said 3"
    plain = create([*asked, {**item, "namespace": None}, result], tools=tools)
    assert plain.usage.input_tokens < after.usage.input_tokens


def test_events_come_in_order_and_add_up(client: Any) -> None:
    text = f"say <think>\nHm.\n</think>\n\nIt is sunny.\n{CALL}"
    with client.responses.stream(model="puppet", input=text, tools=[TOOL]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    kinds = [item.type for item in final.output]
    assert kinds == ["reasoning", "message", "function_call"]
    deltas = [one.delta for one in events if one.type == "response.output_text.delta"]
    assert "".join(deltas) == final.output_text
    assert final.output_text.strip() == "It is sunny."
    assert final.output[2].arguments == '{"a": 1}'
    kind = "response.function_call_arguments.delta"
    written = [one.delta for one in events if one.type == kind]
    assert len(written) > 1
    assert "".join(written) == '{"a": 1}'
    indices = [one.output_index for one in events if hasattr(one, "output_index")]
    assert indices == sorted(indices)
    again = client.responses.retrieve(final.id)
    assert again.output_text == final.output_text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"input": 3}, "input"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0]"),
        ({"input": None}, "input"),
        ({"input": [{"role": "user", "content": [None]}]}, "input"),
        ({"input": "word " * 9000}, "input"),
        ({"extra_body": {"chat_template_kwargs": 3}}, "chat_template_kwargs"),
        ({"tools": [TOOL] * 513}, "tools"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [GROUP | {"tools": [{}]}]}, "tools[0].tools[0].type"),
        ({"tools": [{**GROUP, "name": ""}]}, "tools[0].name"),
        ({"tools": [{**GROUP, "tools": {}}]}, "tools[0].tools"),
        ({"tools": [GROUP, {**TOOL, "name": "crm__add"}]}, "tools"),
        ({"background": True}, "background"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"temperature": "hot"}, "temperature"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"reasoning": {"speed": "low"}}, "reasoning.speed"),
    ],
)
def test_mistakes_are_named(create: Any, fields: dict[str, Any], field: str) -> None:
    given = {"given": "hi"} | {
        "given" if name == "input" else name: value for name, value in fields.items()
    }
    with pytest.raises(openai.BadRequestError) as caught:
        create(**given)
    assert caught.value.param == field


def test_logprobs_come_where_they_are_asked_for(create: Any, client: Any) -> None:
    plain = create("say yes").output[0].content[0]
    assert not plain.logprobs
    include = ["message.output_text.logprobs"]
    part = create("say yes", include=include, top_logprobs=2).output[0].content[0]
    assert part.logprobs[0].token
    assert {len(one.top_logprobs) for one in part.logprobs} == {2}
    ask = {"model": "puppet", "input": "say yes", "include": include}
    with client.responses.stream(**ask) as stream:
        events = list(stream)
        (told,) = stream.get_final_response().output[0].content
    kind = "response.output_text.delta"
    deltas = [one for event in events if event.type == kind for one in event.logprobs]
    assert [one.token for one in deltas] == [one.token for one in told.logprobs]
    assert len(told.logprobs) == len(part.logprobs)
