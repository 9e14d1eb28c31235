"""Models that clients name on the hub, where that is allowed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support.hub_fixtures import REPO
from tests.support.hub_server import HubServer, Repo
from tests.support.served import running

server = pytest.importorskip("llamacy.server", exc_type=ImportError)
httpx = pytest.importorskip("httpx")

pytestmark = pytest.mark.server

NAME = f"{REPO}:Q4_K_M"
ASK = {"model": NAME, "prompt": "Once", "raw": True, "options": {"num_predict": 2}}


def on_demand(name: str) -> Any:
    """Return a model that has been fetched."""
    path = llamacy.pull(name)
    return server.OnDemand(lambda: llamacy.load(path), str(path))


@pytest.fixture
def url(repo: Repo, demo: llamacy.Model) -> Iterator[str]:
    with running(server.app({"demo": demo}, from_hub=on_demand)) as url:
        yield url


def lines(response: Any) -> list[Any]:
    return [json.loads(line) for line in response.text.splitlines()]


def test_a_model_is_fetched_with_progress_and_then_served(
    url: str, cache: Path
) -> None:
    ollama = pytest.importorskip("ollama")
    client = ollama.Client(host=url)
    with pytest.raises(ollama.ResponseError, match="api/pull") as caught:
        client.generate(**ASK)
    assert caught.value.status_code == 404
    assert not list(cache.rglob("*.gguf")), "no other request downloads"
    steps = list(client.pull(f"hf.co/{NAME}", stream=True))
    assert steps[0].status == "pulling manifest"
    assert steps[-1].status == "success"
    done = [one.completed for one in steps if one.completed is not None]
    assert done == sorted(done)
    assert done[-1] == steps[1].total
    answer = client.generate(**ASK)
    assert answer.eval_count == 2
    assert NAME in [model.model for model in client.list().models]
    assert str(cache) not in str(client.show(NAME))
    assert client.pull(NAME).status == "success"


def test_a_model_in_the_cache_need_not_be_fetched(url: str, hub: HubServer) -> None:
    llamacy.pull(NAME)
    hub.requests.clear()
    body = {"model": NAME, "prompt": "Once", "max_tokens": 2}
    answer = httpx.post(f"{url}/v1/completions", json=body)
    assert answer.json()["model"] == NAME
    answer = httpx.post(f"{url}/v1/completions", json={**body, "model": REPO})
    assert answer.status_code == 200


def test_mistakes_are_told(url: str, hub: HubServer, demo: llamacy.Model) -> None:
    def pull(name: str, stream: bool = False) -> Any:
        body = {"model": name, "stream": stream}
        return httpx.post(f"{url}/api/pull", json=body)

    assert pull("demo").json() == {"status": "success"}
    assert pull("user/nothing").status_code == 404
    *_, last = lines(pull("user/nothing", stream=True))
    assert "user/nothing" in last["error"]
    for name in ("../x", "/etc/passwd", "a/b/../c", "https://example.org/a"):
        answer = pull(name)
        assert (answer.status_code, answer.json()["error"][:6]) == (400, "model:")
    hub.stop()
    assert pull("user/other").status_code == 502
    with running(server.app({"demo": demo})) as other:
        for path in ("/api/pull", "/api/generate"):
            answer = httpx.post(other + path, json={"model": NAME})
            assert answer.status_code == (403 if path == "/api/pull" else 404)


def test_a_name_is_never_a_path(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, babble_model: Path
) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/secret").write_bytes(babble_model.read_bytes())
    monkeypatch.chdir(tmp_path)
    answer = httpx.post(f"{url}/api/generate", json={**ASK, "model": "user/secret"})
    assert answer.status_code == 404


def test_a_client_that_hangs_up_ends_the_transfer(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def slow(name: str, *, progress: Any) -> None:
        """Transfer nothing, very slowly."""
        try:
            for part in range(10_000):
                progress(part / 10_000)
                time.sleep(0.001)
        finally:
            ended.set()

    monkeypatch.setattr(llamacy.hub, "pull", slow)
    with httpx.stream("POST", f"{url}/api/pull", json={"model": NAME}) as response:
        found = response.iter_lines()
        assert [json.loads(next(found))["status"] for _ in range(2)] == [
            "pulling manifest",
            f"pulling {NAME}",
        ]
    assert ended.wait(10)
