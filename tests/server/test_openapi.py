"""The application's own description, and requests that are made from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

import llamacy

app = pytest.importorskip("llamacy.server", exc_type=ImportError).app
testclient = pytest.importorskip("starlette.testclient")

from llamacy.server.ollama.managing import REFUSED  # noqa: E402

pytestmark = pytest.mark.server

HEADERS = {"host": "localhost"}


@pytest.fixture(scope="module")
def application() -> Iterator[Any]:
    """Serve a model whose answers are short, as its context is."""
    with llamacy.load("demo", n_ctx=96) as model:
        yield app(model)


@pytest.fixture(scope="module")
def client(application: Any) -> Iterator[Any]:
    with testclient.TestClient(application, headers=HEADERS) as client:
        yield client


@pytest.fixture(scope="module")
def document(client: Any) -> Any:
    return client.get("/openapi.json").json()


def body_of(operation: Any) -> Any:
    return operation["requestBody"]["content"]["application/json"]["schema"]


def test_all_routes_are_described(application: Any, document: Any) -> None:
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    served = {
        (method, route.path.replace(":path}", "}"))
        for route in application.routes
        for method in route.methods - {"HEAD"}
    }
    others = {("GET", "/openapi.json"), ("GET", "/")}
    others |= {(method, path) for method, path, _ in REFUSED}
    short = {(method, path.removeprefix("/v1")) for method, path in described}
    assert described <= served
    assert served - described - short - others == set()


def test_examples_are_answered_and_have_all_that_is_required(
    client: Any, document: Any
) -> None:
    for path, operations in document["paths"].items():
        if "requestBody" not in operations.get("post", {}):
            continue
        schema = body_of(operations["post"])
        (example,) = schema["examples"]
        status = client.post(path, json=example).status_code
        assert status == (400 if "rerank" in path else 200), path
        for name in schema["required"]:
            if name == "model":  # there is only one
                continue
            less = {key: example[key] for key in example if key != name}
            assert client.post(path, json=less).status_code == 400, (path, name)


def test_models_of_the_hub_are_no_mistake_where_they_are_allowed(
    application: Any, document: Any
) -> None:
    def names(document: Any) -> Any:
        return body_of(document["paths"]["/v1/chat/completions"]["post"])["properties"][
            "model"
        ]["anyOf"][0]

    assert names(document) == {"type": "string", "enum": ["default"]}
    service = application.state.service
    (model,) = service.models.loaded.values()
    allowed = app(model, from_hub=lambda name: None)
    with testclient.TestClient(allowed, headers=HEADERS) as client:
        described = client.get("/openapi.json").json()
    assert names(described) == {"type": "string", "examples": ["default"]}


def test_fields_are_those_that_are_read(document: Any) -> None:
    schema = body_of(document["paths"]["/v1/chat/completions"]["post"])
    assert schema["additionalProperties"] is False
    fields = schema["properties"]
    assert {"messages", "temperature", "min_p", "tools", "stream"} <= fields.keys()
    assert "functions" not in fields, "it is refused"
    assert fields["stream"] == {"anyOf": [{"type": "boolean"}, {"type": "null"}]}
    inner, _ = fields["stream_options"]["anyOf"]
    assert "include_usage" in inner["properties"]
    answer = document["paths"]["/v1/embeddings"]["post"]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    assert schema["required"] == ["object", "data", "model", "usage"]


def test_no_request_makes_the_server_fail(application: Any) -> None:
    """Schemathesis makes requests from the description, good ones and bad."""
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, settings

    n = int(os.environ.get("LLAMACY_SCHEMATHESIS_EXAMPLES", "10"))
    schema = schemathesis.openapi.from_asgi(
        "/openapi.json", application, headers=HEADERS
    )
    checks = schemathesis.checks
    for result in schema.get_all_operations():
        operation = result.ok()
        cases = operation.as_strategy(
            generation_mode=schemathesis.GenerationMode.POSITIVE
        )
        bad = operation.as_strategy(
            generation_mode=schemathesis.GenerationMode.NEGATIVE
        )

        @settings(
            max_examples=n,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        @given(case=cases | bad)
        def ask(case: Any) -> None:
            response = case.call(headers=HEADERS)
            case.validate_response(
                response,
                checks=[
                    checks.not_a_server_error,
                    checks.status_code_conformance,
                    checks.content_type_conformance,
                    checks.response_schema_conformance,
                ],
            )

        ask()
