"""A running server as a socket sees it: streams, hang-ups, limits, the log, a stop."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

import llamacy
from llamacy.errors import ModelOutputError
from tests.support.served import Slow, obedient, running
from tests.support.waiting import wait_until

app = pytest.importorskip("llamacy.server", exc_type=ImportError).app
httpx = pytest.importorskip("httpx")

pytestmark = pytest.mark.server

CHAT = "/v1/chat/completions"
LONG = "all work and no play " * 300


def ask(text: str, **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "puppet", "messages": messages, **fields}


def data(response: Any) -> list[Any]:
    """Return the JSON of a stream's events; the last event is not JSON."""
    lines = [one for one in response.text.splitlines() if one.startswith("data: ")]
    return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


@contextmanager
def connected(url: str, path: str, body: bytes) -> Iterator[socket.socket]:
    """Send a request through a socket with small buffers."""
    address = urlsplit(url)
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect((address.hostname, address.port))
        head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\n"
        one.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        yield one


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[Any]:
    with httpx.Client(base_url=url) as client:
        yield client


def idle(model: llamacy.Model) -> bool:
    load = model.engine.load()
    return load.n_active == load.n_waiting == 0


def test_health_is_ok(client: Any) -> None:
    response = client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_a_body_is_json_whatever_its_type_says(client: Any) -> None:
    body = json.dumps(ask("say yes"))
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        response = client.post(CHAT, content=body, headers={"content-type": kind})
        assert response.json()["choices"][0]["message"]["content"] == "yes"


def test_the_model_may_be_left_out_where_there_is_one(puppet: llamacy.Model) -> None:
    async def main() -> Any:
        transport = httpx.ASGITransport(app=app(puppet))
        url = "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            body = {"messages": ask("say yes")["messages"]}
            return await client.post(CHAT, json=body)

    assert asyncio.run(main()).json()["model"] == "default"


@pytest.mark.parametrize(
    ("body", "status", "field", "code"),
    [
        (b"{", 400, None, "invalid_json"),
        (b"[]", 400, None, "invalid_value"),
        (b'{"messages": []}', 400, "messages", "invalid_value"),
        (b'{"model": 3, "messages": [{}]}', 400, "model", "invalid_value"),
        (b'{"messages": [{"role": "user"}]}', 400, "model", None),
        (b'{"model": "x", "messages": [{}]}', 404, "model", "model_not_found"),
        (b'{"model": "demo", "messages": [1]}', 400, "messages[0]", "invalid_value"),
        (b'{"model": "demo", "messages": [{}]}', 400, "messages[0].role", None),
        (b'{"model": "demo", "messages": "hi"}', 400, "messages", "invalid_value"),
        (b"[" * 10**5, 400, None, "invalid_json"),
        (
            b'{"model": "demo", "messages": [{}], "max_tokens": 0}',
            400,
            "max_tokens",
            None,
        ),
        (b'{"messages": [{}], "repeat_last_n": -2}', 400, "repeat_last_n", None),
    ],
)
def test_bad_requests_name_the_field(
    client: Any, body: bytes, status: int, field: str | None, code: str | None
) -> None:
    response = client.post(CHAT, content=body)
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (status, field)
    assert code is None or error["code"] == code
    assert response.headers["x-request-id"].startswith("req_")


def test_a_body_that_is_too_large_is_not_read(client: Any) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(10_000):
            sent.append(1)
            yield b" " * 2**16

    sent: list[int] = []
    response = client.post(CHAT, content=b" " * (8 * 2**20 + 1))
    assert response.status_code == 413
    try:
        assert client.post(CHAT, content=parts()).status_code == 413
    except httpx.TransportError:  # the server closed it while the client still sent
        pass
    assert len(sent) < 1000


def test_megabytes_that_cannot_fit_are_not_tokenized(
    client: Any, demo: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    longest = 0
    tokenize = type(demo).tokenize

    def measured(model: Any, text: str, **options: Any) -> list[int]:
        nonlocal longest
        longest = max(longest, len(text))
        return tokenize(model, text, **options)

    monkeypatch.setattr(type(demo), "tokenize", measured)
    text = "word " * 10**6
    parts = [{"type": "text", "text": text[:100]}, {"type": "text", "text": text}]
    for path, body in [
        (CHAT, ask(text)),
        (CHAT, ask("x", messages=[{"role": "user", "content": parts}], stream=True)),
        ("/v1/completions", {"prompt": text}),
        ("/v1/responses", {"input": text}),
        ("/v1/messages", ask(text, max_tokens=3)),
        ("/api/chat", ask(text)),
        ("/api/generate", {"prompt": text, "raw": True}),
    ]:
        refused = client.post(path, json=body | {"model": "demo"})
        assert refused.status_code == 400
        assert "prompt is too long" in refused.text
    assert longest < 10_000


def test_long_words_are_tokenized_before_they_are_refused(
    client: Any, demo: llamacy.Model
) -> None:
    text = " " * 6000  # few tokens for its length, in some vocabularies
    n_tokens = len(demo.tokenize(text))
    body = {"model": "demo", "prompt": text, "max_tokens": 1}
    status = client.post("/v1/completions", json=body).status_code
    assert status == (200 if n_tokens < demo.n_ctx else 400)


def test_paths_and_methods_that_do_not_exist_are_refused(client: Any) -> None:
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert client.get(CHAT).status_code == 405
    assert client.get(CHAT).headers["allow"] == "POST"


def test_errors_do_not_show_paths_of_this_machine(
    client: Any, demo: llamacy.Model
) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    response = client.post(CHAT, json=ask("hi", tools=tools) | {"model": "demo"})
    assert response.status_code == 400
    assert demo.path not in response.text


def test_a_failure_in_a_stream_is_its_last_event(
    client: Any, puppet: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ids: Any, logits: Any) -> None:
        if len(ids) > 60:
            raise ModelOutputError("the weights are broken")

    from dataclasses import replace

    told = puppet.engine.defaults
    (said,) = told.logits_processors  # type: ignore[misc]
    failing = replace(told, logits_processors=(fail, said))
    monkeypatch.setattr(puppet.engine, "defaults", failing)
    response = client.post(CHAT, json=ask("say " + LONG[:50], stream=True))
    *_, before, last = data(response)
    assert before["choices"]
    assert last["error"]["message"] == "the weights are broken"
    assert "event:" not in response.text and "[DONE]" not in response.text
    whole = client.post(CHAT, json=ask("say " + LONG[:50]))
    assert (whole.status_code, whole.headers["x-should-retry"]) == (500, "false")


def n_written(url: str) -> float:
    """Return the tokens that the model is known to have generated."""
    name = 'llamacy_generated_tokens_total{model="puppet"} '
    _, _, rest = httpx.get(f"{url}/metrics").text.partition(name)
    return float(rest.partition("\n")[0] or 0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_ends_its_text(
    url: str, puppet: llamacy.Model, stream: bool
) -> None:
    before = n_written(url)
    body = json.dumps(ask(f"say {LONG}", stream=stream)).encode()
    with connected(url, CHAT, body) as one:
        wait_until(lambda: puppet.engine.load().n_active == 1)
        used = puppet.engine.load().n_pages_used
        if stream:
            wait_until(lambda: b'"content"' in one.recv(4096, socket.MSG_PEEK))
        else:
            wait_until(lambda: puppet.engine.load().n_pages_used > used)
    wait_until(lambda: idle(puppet))
    wait_until(lambda: n_written(url) > before)  # counted all the same


def test_a_client_that_hangs_up_with_a_full_socket_ends_its_text(
    url: str, puppet: llamacy.Model
) -> None:
    body = json.dumps(ask(f"say {LONG}", stream=True, logprobs=True, top_logprobs=20))
    with connected(url, CHAT, body.encode()):
        wait_until(lambda: puppet.engine.load().n_active == 1)
        # it is parked: its reader is behind
        wait_until(lambda: puppet.engine.load().n_active == 0)
        pages = puppet.engine.load().n_pages_used
        assert pages > 0
    wait_until(lambda: idle(puppet))


def test_a_client_that_takes_nothing_for_long_counts_as_gone(
    url: str,
    puppet: llamacy.Model,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from llamacy.server import responses

    monkeypatch.setattr(responses, "STALLED_SECONDS", 0.2)
    body = json.dumps(ask(f"say {LONG}", stream=True, logprobs=True, top_logprobs=20))
    caplog.set_level(logging.INFO, logger="llamacy.server")
    with connected(url, CHAT, body.encode()):
        wait_until(lambda: any(f"{CHAT} 499" in line for line in caplog.messages))
        assert idle(puppet)


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_ends_the_reading_of_its_prompt(
    url: str, puppet: llamacy.Model, monkeypatch: pytest.MonkeyPatch, stream: bool
) -> None:
    from llamacy.server import leaving, responses

    executor, n_rows = puppet.executor, list[int]()
    began, left = threading.Event(), threading.Event()
    forward, departs = executor.forward, leaving.departs

    def held(batch: Any, logits: Any, go_on: Any) -> Any:
        n_rows.append(len(batch.tokens))
        began.set()
        assert left.wait(30)
        return forward(batch, logits, go_on)

    async def noted(receive: Any) -> None:
        await departs(receive)
        left.set()

    monkeypatch.setattr(executor, "forward", held)
    for module in (leaving, responses):
        monkeypatch.setattr(module, "departs", noted)
    body = json.dumps(ask("read " * 1500, stream=stream)).encode()
    with connected(url, CHAT, body):
        assert began.wait(30)
    wait_until(lambda: idle(puppet))
    assert len(n_rows) <= 2  # one may begin while the server hears of it
    assert sum(n_rows) < 1500


def test_a_slow_reader_leaves_its_place_to_others(tmp_path: Any) -> None:
    with obedient(tmp_path, max_waiting=1, n_batch=1) as model:  # one place
        application = app({"puppet": model})
        with running(application) as url:
            slow = ask(f"say {LONG}", stream=True, logprobs=True, top_logprobs=20)
            with connected(url, CHAT, json.dumps(slow).encode()):
                wait_until(lambda: model.engine.load().n_active == 1)
                answer = httpx.post(url + CHAT, json=ask("say yes"), timeout=60).json()
                wait_until(lambda: application.state.gate.n_running == 1)
    assert answer["choices"][0]["message"]["content"] == "yes"


def test_half_a_request_costs_nothing(url: str, puppet: llamacy.Model) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port)) as one:
        head = (
            f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{{"
        )
        one.sendall(head.encode())
    assert httpx.get(f"{url}/health").status_code == 200
    assert idle(puppet)


def test_comments_keep_a_quiet_stream_alive(
    puppet: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(puppet, monkeypatch)
    with running(app(puppet, quiet_seconds=0.1)) as url:
        body = {"messages": ask("say yes")["messages"], "stream": True}
        with httpx.stream("POST", url + CHAT, json=body) as response:
            lines = response.iter_lines()
            comment = next(line for line in lines if line.startswith(":"))
            slow.go_on.set()
            assert any('"content":"' in line for line in lines)
    assert "of the prompt has been read" in comment


def test_progress_is_told_in_chunks_where_it_was_asked_for(
    client: Any, puppet: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(puppet, monkeypatch)
    first = ask("say yes", stream=True)
    body = ask("say no", stream=True, return_progress=True)
    with client.stream("POST", CHAT, json=first):
        wait_until(lambda: puppet.engine.load().n_active == 1)
        with client.stream("POST", CHAT, json=body) as response:
            lines = response.iter_lines()
            told = next(line for line in lines if "prompt_progress" in line)
            slow.go_on.set()
            rest = list(lines)
    chunk = json.loads(told[6:])
    assert (chunk["choices"], chunk["prompt_progress"]) == ([], {"share": 0.0})
    assert "data: [DONE]" in rest


def test_a_full_queue_is_busy_and_says_when_to_come_again(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with obedient(tmp_path, max_waiting=0, n_batch=1) as model:
        slow = Slow(model, monkeypatch)
        with running(app({"puppet": model})) as url:
            body = json.dumps(ask("say yes", stream=True)).encode()
            with connected(url, CHAT, body):
                wait_until(lambda: model.engine.load().n_active == 1)
                for stream in (True, False):
                    response = httpx.post(url + CHAT, json=ask("hi", stream=stream))
                    assert response.status_code == 429
                    assert 0 < int(response.headers["retry-after"]) < 10
                    assert response.json()["error"]["code"] == "queue_full"
                with monkeypatch.context() as watched:
                    watched.setattr(type(model), "tokenize", None)  # costs too much
                    asked = {"prompt": "hi", "max_tokens": 1}
                    response = httpx.post(f"{url}/v1/completions", json=asked)
                    assert response.status_code == 429
                slow.go_on.set()


def test_more_texts_than_the_queue_can_hold_are_a_mistake(tmp_path: Any) -> None:
    with obedient(tmp_path, max_waiting=2, n_batch=1) as model:  # one runs
        with running(app({"puppet": model})) as url:
            bodies = [
                (CHAT, ask("say yes", n=4), "n"),
                (CHAT, ask("say yes", n=4, stream=True), "n"),
                ("/v1/completions", {"prompt": "x", "n": 4, "stream": True}, "n"),
                ("/v1/completions", {"prompt": ["x"] * 4, "stream": True}, "prompt"),
            ]
            for path, body, field in bodies:
                response = httpx.post(url + path, json=body)
                assert response.status_code == 400
                assert response.json()["error"]["param"] == field
            answers = httpx.post(url + CHAT, json=ask("say yes", n=3)).json()
            prompt = "<|im_start|>user\nsay x<|im_end|>\n<|im_start|>assistant\n"
            body = {"prompt": prompt, "n": 9}
            texts = httpx.post(url + "/v1/completions", json=body)
    assert len(answers["choices"]) == 3
    assert len(texts.json()["choices"]) == 9


def test_running_answers_end_when_the_server_stops(
    puppet: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(puppet, monkeypatch)
    application = app({"puppet": puppet})
    with running(application) as url, httpx.Client(base_url=url) as client:
        with client.stream("POST", CHAT, json=ask("say yes", stream=True)) as response:
            application.state.gate.close()
            refused = httpx.post(url + CHAT, json=ask("hi"))
            assert refused.status_code == httpx.get(f"{url}/health").status_code == 503
            assert refused.headers["retry-after"] == "2"
            slow.go_on.set()
            text = response.read().decode()
    assert text.endswith("data: [DONE]\n\n")


def test_the_log_has_no_contents(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="llamacy.server"):
        response = client.post(CHAT + "?secret=1", json=ask("say secret"))
        wait_until(lambda: len(caplog.messages) > 0)
    (line,) = caplog.messages
    assert "secret" not in line
    assert f"POST {CHAT} 200" in line
    assert response.headers["x-request-id"] in line
    assert "wrote" in line


def test_keys_and_pages_of_others_are_checked(demo: llamacy.Model) -> None:
    async def main() -> list[Any]:
        application = app(
            {"demo": demo}, api_keys=["k"], allowed_origins=["https://known.example"]
        )
        transport = httpx.ASGITransport(app=application)
        url = "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            key = {"authorization": "Bearer k"}
            origin = {"origin": "https://known.example"}
            asks = {"access-control-request-method": "POST", **origin}
            removes = {"access-control-request-method": "DELETE", **origin}
            return [
                await client.get("/v1/models"),
                await client.get("/v1/models", headers=key),
                await client.options("/v1/models", headers=asks),
                await client.options("/v1/responses/x", headers=removes),
                await client.get("/v1/models", headers=key | origin),
            ]

    refused, let_in, preflight, removal, page = asyncio.run(main())
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert let_in.status_code == preflight.status_code == page.status_code == 200
    assert removal.status_code == 200
    assert "access-control-allow-origin" not in let_in.headers
    assert page.headers["access-control-allow-origin"] == "https://known.example"


def test_it_can_be_mounted_in_another_application(demo: llamacy.Model) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    async def main() -> list[Any]:
        outer = Starlette(routes=[Mount("/llm", app=app({"demo": demo}))])
        transport = httpx.ASGITransport(app=outer)
        url = "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            body = ask("What is 12 + 30?", temperature=0) | {"model": "demo"}
            return [
                await client.post("/llm" + CHAT, json=body),
                await client.get("/llm/v1/models/x"),
            ]

    answer, missing = asyncio.run(main())
    assert answer.json()["choices"][0]["message"]["content"] == "42"
    assert missing.json()["error"]["code"] == "model_not_found"


def test_many_clients_get_the_texts_that_they_would_get_alone(url: str) -> None:
    async def main() -> list[Any]:
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            bodies = [
                ask(f"What is {i} + 30?", temperature=0, stream=i % 2 == 0)
                | {"model": "demo"}
                for i in range(12, 52)
            ]
            posts = [client.post(CHAT, json=body) for body in bodies]
            return await asyncio.gather(*posts)

    def text(response: Any) -> str:
        if response.headers["content-type"].startswith("text/event-stream"):
            deltas = [chunk["choices"][0]["delta"] for chunk in data(response)]
            return "".join(delta.get("content", "") for delta in deltas)
        return str(response.json()["choices"][0]["message"]["content"])

    texts = [text(one) for one in asyncio.run(main())]
    assert texts == [str(i + 30) for i in range(12, 52)]


@pytest.mark.parametrize("models", [{}, [], {"a": 1}, {"": None}, None])
def test_models_are_checked(models: Any) -> None:
    with pytest.raises(llamacy.ArgumentError, match="models"):
        app(models)
