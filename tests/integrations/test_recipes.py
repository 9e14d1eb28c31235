"""Recipes of the documentation that need other packages: they run, and do as told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import llamacy
from tests.support.pages import ROOT, blocks
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integrations

SERVER = ROOT / "docs" / "start" / "server.md"
STORY = {"text": "Tell me a story.", "max_tokens": 400}
N_ACTIVE = 16  # texts that run at the same time


@pytest.fixture
def app() -> Iterator[Any]:
    """The page's application, from its own source."""
    pytest.importorskip("fastapi")
    (block,) = blocks(SERVER, "python")
    space: dict[str, Any] = {"__name__": "server"}
    exec(compile("\n" * block.line + block.code, str(SERVER), "exec"), space)
    yield space["app"]


async def ask(app: Any, *questions: dict[str, Any]) -> list[Any]:
    """Post all questions at once; return the responses."""
    httpx = pytest.importorskip("httpx")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        posts = [client.post("/answer", json=question) for question in questions]
        return await asyncio.gather(*posts)


def test_many_users_get_their_own_answers(app: Any) -> None:
    async def main() -> list[Any]:
        async with app.router.lifespan_context(app):
            return await ask(
                app, *({"text": f"What is {i} + 30?"} for i in range(12, 32))
            )

    assert [each.text for each in asyncio.run(main())] == [
        str(i + 30) for i in range(12, 32)
    ]


@pytest.mark.parametrize(
    ("question", "status"),
    [
        ({"text": "word " * 600}, 413),
        ({"text": "Hello!", "max_tokens": 100_000}, 422),
        ({"question": "Hello!"}, 422),
    ],
)
def test_invalid_questions_get_a_status(
    app: Any, question: dict[str, Any], status: int
) -> None:
    async def main() -> list[Any]:
        async with app.router.lifespan_context(app):
            return await ask(app, question)

    (response,) = asyncio.run(main())
    assert response.status_code == status


def test_a_full_queue_is_busy(app: Any) -> None:
    go_on = threading.Event()

    def hold(ids: Any, logits: Any) -> None:
        go_on.wait(10)

    async def main() -> list[Any]:
        with llamacy.load("demo", max_waiting=1) as app.state.model:
            model = app.state.model
            holding = [
                model.agenerate("Once", max_tokens=1, logits_processors=hold)
                for _ in range(N_ACTIVE + 1)
            ]
            held = asyncio.gather(*holding)
            await asyncio.to_thread(
                wait_until, lambda: model.engine.load().n_waiting == 1
            )
            responses = await ask(app, STORY)
            go_on.set()
            await held
            return responses

    (response,) = asyncio.run(main())
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"


def test_a_client_that_hangs_up_ends_its_text(app: Any) -> None:
    n_pages: list[int] = []

    async def main(model: llamacy.Model) -> None:
        begun = asyncio.Event()
        body = {"type": "http.request", "body": json.dumps(STORY).encode()}
        messages = iter([body])

        async def receive() -> dict[str, Any]:
            for message in messages:
                return message
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message.get("body"):
                n_pages.append(model.engine.load().n_pages_used)
                begun.set()
                await asyncio.Event().wait()  # a socket that takes nothing more

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": "/answer",
            "raw_path": b"/answer",
            "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
        }
        await app(scope, receive, send)
        await asyncio.to_thread(
            wait_until, lambda: model.engine.load().n_pages_used == 0
        )

    with llamacy.load("demo", prompt_cache=0) as app.state.model:
        asyncio.run(asyncio.wait_for(main(app.state.model), 60))
    assert n_pages and n_pages[0] > 0
