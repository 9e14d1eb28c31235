"""Jobs in OpenAI's form: its fields, its errors, and the server's answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import llamacy
from llamacy.jobs.requests import COMPLETIONS, EMBEDDINGS, RequestTask
from llamacy.model.model import Model
from tests.support.jobs import CHAT, line_of, results_of, rows_of, sum_body
from tests.support.levels import rows_alone

TASK = RequestTask()


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with rows_alone(), llamacy.load("demo", n_threads=1) as loaded:
        yield loaded


def outputs(model: Model, *lines: bytes) -> list[Any]:
    found = results_of(model, TASK, rows_of(lines))
    assert json.loads(json.dumps(found)) == found
    return found


def test_a_request_is_answered_in_openais_form(model: Model) -> None:
    body = sum_body(12, 30, model="m", logprobs=True)
    (found,) = outputs(model, line_of("a", body))
    assert found.keys() == {"id", "custom_id", "response", "error"}
    assert (found["custom_id"], found["error"]) == ("a", None)
    response = found["response"]
    assert response["status_code"] == 200
    answer = response["body"]
    assert answer["object"] == "chat.completion"
    assert (answer["model"], answer["created"]) == ("m", 0)
    assert answer["choices"][0]["message"]["content"] == "42"
    assert len(answer["choices"][0]["logprobs"]["content"]) == 2
    assert answer["usage"]["completion_tokens"] == 2
    assert TASK.tally(found) == (answer["usage"]["prompt_tokens"], 2, False)


def test_ids_tell_rows_apart_and_are_the_same_each_time(model: Model) -> None:
    lines = [line_of("a", sum_body(1, 1)), line_of("b", sum_body(1, 1))]
    one, other = outputs(model, *lines)
    assert one["id"] != other["id"]
    assert one["response"]["body"]["id"] != other["response"]["body"]["id"]
    assert outputs(model, *lines) == [one, other]


def test_several_answers_and_prompts_are_choices_of_one_response(model: Model) -> None:
    chat = {**sum_body(12, 30), "n": 3, "temperature": 3}
    chat |= {"top_k": 0, "top_p": 1, "min_p": 0}
    france, italy = (
        "The capital of France is",
        model.tokenize("The capital of Italy is"),
    )
    prompts = [france, italy]
    texts = {"prompt": prompts, "n": 2, "temperature": 0, "max_tokens": 3, "echo": True}
    answers, completions = outputs(
        model, line_of("a", chat), line_of("b", texts, COMPLETIONS)
    )
    body = answers["response"]["body"]
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in body["choices"]}) > 1
    body = completions["response"]["body"]
    assert [choice["text"] for choice in body["choices"]] == [
        *["The capital of France is Paris"] * 2,
        *["The capital of Italy is Rome"] * 2,
    ]
    n_read = len(model.tokenize(france)) + len(italy)
    assert body["usage"]["prompt_tokens"] == n_read


def test_texts_are_embedded_beside_answers(model: Model) -> None:
    wanted = model.embed(["one", "two"], dimensions=4)
    body = {"input": ["one", "two"], "dimensions": 4}
    lines = [line_of("e", body, EMBEDDINGS), line_of("a", sum_body(1, 1))]
    found, answer = outputs(model, *lines)
    data = found["response"]["body"]["data"]
    assert [each["embedding"] for each in data] == wanted.tolist()
    assert TASK.tally(found).prompt_tokens == sum(wanted.token_counts)
    assert answer["response"]["status_code"] == 200


def test_a_structured_answer_follows_its_schema(model: Model) -> None:
    pytest.importorskip("llguidance")
    schema: dict[str, Any] = {"type": "object", "properties": {"n": {"enum": [3, 4]}}}
    schema |= {"required": ["n"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    body = sum_body(1, 2, response_format=form, max_tokens=30)
    (found,) = outputs(model, line_of("a", body))
    text = found["response"]["body"]["choices"][0]["message"]["content"]
    assert json.loads(text)["n"] in (3, 4)


TOOL = {"type": "function", "function": {"name": "add", "parameters": {}}}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"[]", "invalid_json_line"),
        (line_of(None, {}), "invalid_request"),
        (line_of(3, {}), "invalid_request"),
        (line_of("a", {}, "/v1/responses"), "invalid_request"),
        (line_of("a", {}, ["x"]), "invalid_request"),
        (line_of("a", {}, method="GET"), "invalid_request"),
        (line_of("a", []), "invalid_request"),
    ],
)
def test_lines_that_are_no_requests_have_no_response(
    model: Model, line: bytes, code: str
) -> None:
    (found,) = outputs(model, line)
    assert found["response"] is None
    assert found["error"]["code"] == code
    assert found["custom_id"] in ("a", None)
    assert TASK.tally(found).has_failed


@pytest.mark.parametrize(
    ("body", "url", "code", "param"),
    [
        ({"messages": []}, CHAT, "invalid_value", "messages"),
        (sum_body(1, 1, temprature=1), CHAT, "unknown_parameter", "temprature"),
        (sum_body(1, 1, stream=True), CHAT, "invalid_value", "stream"),
        ({"prompt": "x " * 9999}, COMPLETIONS, "context_length_exceeded", "prompt"),
        ({"input": ["x", 3]}, EMBEDDINGS, "invalid_value", "input"),
        ({"input": "x" * 99999}, EMBEDDINGS, "context_length_exceeded", "input"),
    ],
)
def test_bodies_that_are_refused_have_the_servers_errors(
    model: Model, body: Any, url: str, code: str, param: str
) -> None:
    (found,) = outputs(model, line_of("a", body, url))
    assert (found["custom_id"], found["error"]) == ("a", None)
    assert found["response"]["status_code"] == 400
    error = found["response"]["body"]["error"]
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] == "invalid_request_error"
