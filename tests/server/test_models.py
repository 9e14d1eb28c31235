"""Models of a server: loaded on demand, unloaded when idle, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import llamacy

pytest.importorskip("llamacy.server", exc_type=ImportError)

from llamacy import server
from llamacy.server.errors import Refusal
from llamacy.server.models import Models
from llamacy.server.record import Record

httpx = pytest.importorskip("httpx")

pytestmark = pytest.mark.server

QUESTION = [{"role": "user", "content": "What is 12 + 30?"}]


class Loader:
    """Loads the demo model, and remembers each that it has loaded."""

    def __init__(self) -> None:
        self.loaded: list[llamacy.Model] = []

    def __call__(self) -> llamacy.Model:
        self.loaded.append(llamacy.load("demo"))
        return self.loaded[-1]

    @property
    def n_open(self) -> int:
        return sum(not model.is_closed for model in self.loaded)


@pytest.fixture
def loaders() -> Iterator[dict[str, Loader]]:
    made = {name: Loader() for name in "abc"}
    yield made
    for loader in made.values():
        for model in loader.loaded:
            model.close()


def on_demand(loaders: dict[str, Loader]) -> dict[str, Any]:
    return {name: server.OnDemand(one, n_bytes=10) for name, one in loaders.items()}


def clients(
    loaders: dict[str, Loader], work: Callable[[Any], Any], **options: Any
) -> Any:
    """Run `work` with a client of a server that loads models on demand."""
    application = server.app(on_demand(loaders), **options)

    async def main() -> Any:
        transport = httpx.ASGITransport(app=application)
        url = "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            return await work(client)

    return asyncio.run(main())


async def ask(client: Any, model: str, **fields: Any) -> Any:
    body = {"model": model, "messages": QUESTION, "temperature": 0, **fields}
    return await client.post("/v1/chat/completions", json=body)


def test_a_model_is_loaded_once_however_many_wait(loaders: dict[str, Loader]) -> None:
    async def work(client: Any) -> Any:
        listed = (await client.get("/v1/models")).json()["data"]
        assert [one["id"] for one in listed] == ["a", "b", "c"]
        assert not loaders["a"].loaded
        return await asyncio.gather(*(ask(client, "a") for _ in range(5)))

    answers = clients(loaders, work)
    texts = [each.json()["choices"][0]["message"]["content"] for each in answers]
    assert texts == ["42"] * 5
    assert len(loaders["a"].loaded) == 1
    assert not loaders["b"].loaded


def test_idle_models_make_room_for_others(loaders: dict[str, Loader]) -> None:
    async def work(client: Any) -> None:
        for name in "abacbc":
            assert (await ask(client, name)).status_code == 200
            assert sum(one.n_open for one in loaders.values()) <= 2

    clients(loaders, work, max_memory=25)
    assert [len(one.loaded) for one in loaders.values()] == [1, 2, 1]


def test_a_model_in_use_is_not_unloaded(loaders: dict[str, Loader]) -> None:
    def record() -> Record:
        async def send(message: Any) -> None:
            pass

        return Record({"method": "GET", "path": "/"}, send)

    async def main() -> None:
        later = {
            name: server.OnDemand(one, n_bytes=10) for name, one in loaders.items()
        }
        models, first, second = Models(later, max_bytes=15), record(), record()
        _, model = await models.use("a", first)
        await models.use("a", second)
        second.end()
        with pytest.raises(Refusal, match="others are in use") as caught:
            await models.use("b", record())
        assert (caught.value.status, caught.value.headers["retry-after"]) == (503, "2")
        assert not model.is_closed
        first.end()
        await models.use("b", record())
        assert model.is_closed

    asyncio.run(main())


def test_a_model_that_can_never_fit_is_refused_for_good(
    loaders: dict[str, Loader],
) -> None:
    async def work(client: Any) -> Any:
        return await ask(client, "a")

    refused = clients(loaders, work, max_memory=5)
    assert refused.status_code == 503
    assert refused.headers["x-should-retry"] == "false"
    assert not loaders["a"].loaded


def test_an_idle_model_is_unloaded_and_comes_back(loaders: dict[str, Loader]) -> None:
    async def work(client: Any) -> None:
        await ask(client, "a")
        for _ in range(200):
            if loaders["a"].n_open == 0:
                break
            await asyncio.sleep(0.01)
        assert loaders["a"].n_open == 0
        assert (await ask(client, "a")).status_code == 200

    clients(loaders, work, idle_seconds=0.05)
    assert len(loaders["a"].loaded) == 2


def test_ollamas_clients_unload_a_model(loaders: dict[str, Loader]) -> None:
    async def work(client: Any) -> None:
        await client.post("/api/generate", json={"model": "a"})
        assert [one["name"] for one in (await client.get("/api/ps")).json()["models"]]
        done = await client.post("/api/generate", json={"model": "a", "keep_alive": 0})
        assert done.json()["done_reason"] == "unload"
        assert (await client.get("/api/ps")).json()["models"] == []
        listed = (await client.get("/api/tags")).json()["models"]
        assert [one["name"] for one in listed] == ["a", "b", "c"]

    clients(loaders, work)
    assert loaders["a"].n_open == 0


def test_a_model_that_cannot_be_loaded_is_an_error_each_time(
    loaders: dict[str, Loader],
) -> None:
    def fail() -> llamacy.Model:
        raise llamacy.FormatError("/secret/x.gguf", "header", "GGUF", "nothing")

    async def main() -> list[Any]:
        later = {"x": server.OnDemand(fail, "/secret/x.gguf")}
        transport = httpx.ASGITransport(app=server.app(later))
        url = "http://localhost"
        async with httpx.AsyncClient(transport=transport, base_url=url) as client:
            return [await ask(client, "x"), await ask(client, "x")]

    for response in asyncio.run(main()):
        assert response.status_code == 500
        message = response.json()["error"]["message"]
        assert "secret" not in message and message.startswith("x: header")
