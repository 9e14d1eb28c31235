"""Bad input of every kind: a 4xx in the shape of the API that was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import urlsplit

import pytest

import llamacy
from tests.support.served import running

server = pytest.importorskip("llamacy.server", exc_type=ImportError)
httpx = pytest.importorskip("httpx")

from llamacy.server.openapi.operations import OPERATIONS, Operation  # noqa: E402

pytestmark = pytest.mark.server

POSTS = [(path, one) for (method, path), one in OPERATIONS.items() if method == "POST"]
posts = pytest.mark.parametrize(
    ("path", "operation"), POSTS, ids=[one for one, _ in POSTS]
)
MAX_BODY = 2**16


@pytest.fixture(scope="module")
def url(demo: llamacy.Model) -> Iterator[str]:
    with running(server.app({"demo": demo, "other": demo}, max_body=MAX_BODY)) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    with httpx.Client(base_url=url) as client:
        yield client


def said(response: Any, api: str) -> str:
    """Return the message of an error, whose shape is that of an API."""
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    if api == "ollama":
        assert list(body) == ["error"]
        return str(body["error"])
    error = body["error"]
    if api == "anthropic":
        assert (body["type"], sorted(error)) == ("error", ["message", "type"])
    else:
        assert sorted(error) == ["code", "message", "param", "type"]
    return str(error["message"])


BODIES = {
    "nothing": b"",
    "half": b'{"model": "demo", "mess',
    "a list": b"[]",
    "a text": b'"hi"',
    "null": b"null",
    "a form": b"model=demo&prompt=hi",
    "not a number": b'{"model": NaN}',
    "latin-1": '{"model": "dém"}'.encode("latin-1"),
    "half a character": b'{"model": "\\ud800"}',
    "nested": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "digits": b'{"seed": ' + b"9" * 20_000 + b"}",
    "a number": b'{"model": 3}',
    "an object": b'{"model": {}}',
}


@posts
def test_bodies_that_are_no_requests(
    client: Any, path: str, operation: Operation
) -> None:
    for name, body in BODIES.items():
        response = client.post(path, content=body)
        assert response.status_code == 400, name
        assert said(response, operation.api)
        assert response.headers["x-request-id"]


@posts
def test_bodies_that_are_too_large_are_not_read(
    client: Any, path: str, operation: Operation
) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(MAX_BODY // 1000 + 2):
            yield b" " * 1000

    for body in (b" " * (MAX_BODY + 1), parts()):
        response = client.post(path, content=body)
        assert response.status_code == 413
        assert str(MAX_BODY) in said(response, operation.api)


@posts
def test_models_that_there_are_not(
    client: Any, path: str, operation: Operation
) -> None:
    wanted = 403 if path == "/api/pull" else 404
    response = client.post(path, json={**operation.example, "model": "../x\x00ü"})
    assert response.status_code == wanted
    assert said(response, operation.api)
    response = client.post(path, json={**operation.example, "model": ""})
    assert response.status_code == 400
    assert "model" in said(response, operation.api)


@posts
def test_fields_of_wrong_types(client: Any, path: str, operation: Operation) -> None:
    example = {**operation.example, "model": "demo"}
    wrong: list[Any] = [1.5, True, {"a": []}, [[{}]], [None]]
    for name in example:
        for value in wrong:
            response = client.post(path, json={**example, name: value})
            assert 400 <= response.status_code < 500, (name, value)
            assert name in said(response, operation.api)


def test_errors_have_jsons_names_of_values(client: Any) -> None:
    body = {"model": "demo", "prompt": "x", "stream": "True", "n": None}
    response = client.post("/v1/completions", json=body)
    assert said(response, "openai") == "stream: wanted true or false, found 'True'"
    response = client.post("/api/chat", json={"model": None})
    assert said(response, "ollama") == "model: wanted a name, found null"


@posts
def test_other_methods(client: Any, path: str, operation: Operation) -> None:
    for method in ("GET", "PUT", "PATCH"):
        response = client.request(method, path)
        assert response.status_code in (404, 405)
        assert said(response, operation.api)


def test_unknown_paths_have_the_shape_of_their_api(client: Any) -> None:
    for path, api in (
        ("/v1/nothing", "openai"),
        ("/v1/messages/nothing", "anthropic"),
        ("/api/nothing", "ollama"),
        ("/%00%ff", "openai"),
    ):
        response = client.post(path, json={})
        assert response.status_code == 404
        assert said(response, api)


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n",  # no end
        b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{",
        b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a',
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",  # TLS
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: -5\r\n\r\n{}",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: 1e9\r\n\r\n{}",
    ],
)
def test_half_a_request_and_none_disturb_nobody(url: str, request_: bytes) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as one:
        one.sendall(request_)
        assert httpx.get(f"{url}/health").status_code == 200
    body = {"model": "demo", "prompt": "Once", "max_tokens": 1}
    assert httpx.post(f"{url}/v1/completions", json=body).status_code == 200


def test_clients_that_dawdle_are_hung_up_on(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.cli import connections

    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.2)
    address = urlsplit(url)
    for sent in (b"", b"GET /health HTTP/1.1\r\nHost: loc"):
        with socket.create_connection((address.hostname, address.port)) as one:
            one.sendall(sent)
            assert one.recv(100) == b""
    with socket.create_connection((address.hostname, address.port)) as one:
        one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 200")
        one.sendall(b"GET /health HT")
        while rest := one.recv(1000):
            assert b"HTTP" not in rest


def test_a_response_that_nobody_takes_is_dropped(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llamacy.cli import connections

    dropped = threading.Event()
    abort = connections.Connection._abort_if_unsent

    def noted(connection: Any) -> None:
        abort(connection)
        dropped.set()

    monkeypatch.setattr(connections, "UNSENT_SECONDS", 0.2)
    monkeypatch.setattr(connections.Connection, "_abort_if_unsent", noted)
    asked = {"model": "demo", "content": "a b " * 9000, "with_pieces": True}
    body = json.dumps(asked).encode()
    head = f"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    address = urlsplit(url)
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect((address.hostname, address.port))
        one.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
        assert dropped.wait(10)
        n_received = 0
        with contextlib.suppress(ConnectionResetError):
            while part := one.recv(2**16):
                n_received += len(part)
    assert n_received < len(body)  # the answer is longer


@pytest.mark.parametrize("n_sent", [1, 3], ids=["in turn", "pipelined"])
def test_each_response_has_its_own_time_to_be_taken(
    url: str, monkeypatch: pytest.MonkeyPatch, n_sent: int
) -> None:
    from llamacy.cli import connections

    monkeypatch.setattr(connections, "UNSENT_SECONDS", 1.5)
    asked = {"model": "demo", "content": "a b " * 9000, "with_pieces": True}
    body = json.dumps(asked).encode()
    head = f"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}"
    request = f"{head}\r\n\r\n".encode() + body
    address = urlsplit(url)
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.settimeout(10)
        one.connect((address.hostname, address.port))
        received = one.makefile("rb")
        lengths = []
        for i in range(3):
            if i % n_sent == 0:
                one.sendall(request * n_sent)
            time.sleep(1)  # less than a response may take; two take more
            lengths.append(length_of_response(received))
    assert len(set(lengths)) == 1


def length_of_response(received: IO[bytes]) -> int:
    """Read a response from a connection, on which others may follow; count its body."""
    headers: dict[bytes, bytes] = {}
    assert received.readline().startswith(b"HTTP/1.1 200")
    while (line := received.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip()
    return len(received.read(int(headers[b"content-length"])))


def test_hostile_texts_are_only_texts(client: Any) -> None:
    for text in (
        "\x00",
        "\u202e",
        "\ufffe",
        "{{ messages }}",
        "<|im_end|>",
        "a" * 9999,
    ):
        body = json.dumps({"model": "demo", "content": text})
        tokens = client.post("/tokenize", content=body).json()["tokens"]
        found = client.post("/detokenize", json={"model": "demo", "tokens": tokens})
        assert found.json()["content"].strip() == text.strip()
