"""Tokens, templates, properties and measurements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import llamacy
from tests.support.waiting import wait_until

pytest.importorskip("llamacy.server", exc_type=ImportError)
httpx = pytest.importorskip("httpx")

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    with httpx.Client(base_url=url) as client:
        yield client


def test_tokens_are_those_of_the_library(client: Any, demo: llamacy.Model) -> None:
    text = "Once upon a time </s>"
    body: dict[str, Any] = {"model": "demo", "content": text}
    ids = client.post("/tokenize", json=body).json()["tokens"]
    assert ids == demo.tokenize(text, add_bos=False, parse_special=True)
    plain = body | {"parse_special": False, "add_special": True}
    assert client.post("/tokenize", json=plain).json()["tokens"] == demo.tokenize(text)
    pieces = client.post("/tokenize", json=body | {"with_pieces": True}).json()[
        "tokens"
    ]
    assert [one["id"] for one in pieces] == ids
    back = client.post("/detokenize", json={"model": "demo", "tokens": ids}).json()
    assert back["content"] == demo.detokenize(ids)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/tokenize", {"content": 3}, "content"),
        ("/tokenize", {"content": "x", "with_pieces": 1}, "with_pieces"),
        ("/detokenize", {"tokens": "x"}, "tokens"),
        ("/detokenize", {"tokens": [-1]}, "tokens"),
        ("/apply-template", {"messages": []}, "messages"),
    ],
)
def test_mistakes_are_named(
    client: Any, path: str, body: dict[str, Any], field: str
) -> None:
    response = client.post(path, json={"model": "demo"} | body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == field


def test_a_template_can_be_looked_at(client: Any) -> None:
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello!"}]}
    prompt = client.post("/apply-template", json=body).json()["prompt"]
    assert prompt == "<s>### Instruction:\nHello!\n\n### Response:\n"


def test_properties_are_those_of_the_model(client: Any) -> None:
    props = client.get("/props", params={"model": "demo"}).json()
    assert props["default_generation_settings"]["n_ctx"] == 512
    assert "### Response:" in props["chat_template"]
    assert client.get("/props").json()["model_alias"] == "puppet"
    assert client.get("/props", params={"model": "x"}).status_code == 404


def test_measurements_count_requests_and_tokens(client: Any) -> None:
    def value(name: str, **labels: str) -> float:
        wanted = {f'{key}="{label}"' for key, label in labels.items()}
        for line in client.get("/metrics").text.splitlines():
            head, _, number = line.rpartition(" ")
            found, _, rest = head.partition("{")
            if found == name and wanted <= set(rest.rstrip("}").split(",")):
                return float(number)
        return 0.0

    path, demo = "/v1/completions", {"model": "demo"}
    before = value("llamacy_requests_total", path=path, status="200")
    written = value("llamacy_generated_tokens_total", **demo)
    firsts = value("llamacy_time_to_first_token_seconds_count", **demo)
    body = {**demo, "prompt": "Once", "max_tokens": 5, "n": 2, "stream": True}
    assert client.post(path, json=body).text.endswith("data: [DONE]\n\n")
    requests = {"path": path, "status": "200"}
    wait_until(lambda: value("llamacy_requests_total", **requests) == before + 1)
    assert value("llamacy_generated_tokens_total", **demo) == written + 10
    assert value("llamacy_time_to_first_token_seconds_count", **demo) == firsts + 2
    assert value("llamacy_weight_bytes", **demo) > 10_000
    assert value("llamacy_texts_waiting", **demo) == 0
    client.get("/nowhere")
    assert value("llamacy_requests_total", path="other", status="404") >= 1
