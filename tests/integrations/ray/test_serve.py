"""The server under Ray Serve answers its clients as a server of its own does."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

import llamacy
from llamacy.model.model import Model
from tests.support import random_model
from tests.support.served import running
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integrations
httpx: Any = pytest.importorskip("httpx", reason="httpx is absent")
openai: Any = pytest.importorskip("openai", reason="openai is absent")
serve: Any = pytest.importorskip("ray.serve", reason="Ray Serve is absent")
ray_serve: Any = pytest.importorskip("llamacy.server.ray_serve", exc_type=ImportError)

N_PLACES = 16
N_LONG = 8000  # tokens: seconds of a tiny model's time
KEY = "secret"
QUESTION: list[Any] = [{"role": "user", "content": "What is 12 + 30?"}]
SMALL = {"num_cpus": 0.25}
PATIENCE = 60  # seconds for a process to begin


@pytest.fixture(scope="module")
def babbling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny model that writes texts as long as it is asked to."""
    path = tmp_path_factory.mktemp("models") / "babble.gguf"
    random_model.write(str(path), n_ctx=N_LONG + 100)
    return path


@pytest.fixture(scope="module")
def address(cluster: Any, babbling: Path) -> Iterator[str]:
    """Address of two applications: ``/``, two replicas, and ``/long``, one."""
    with closing(socket.socket()) as kept:  # so that nobody else takes the port
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        serve.start(
            proxy_location="HeadOnly",
            http_options={"host": "127.0.0.1", "port": port},
            logging_config={"log_level": "ERROR"},
        )
        two = ray_serve.deployment("demo", num_replicas=2, **SMALL)
        args = {"model": str(babbling), "max_waiting": "0", "api_keys": f'["{KEY}"]'}
        quick = {"health_check_period_s": 1.0, "graceful_shutdown_wait_loop_s": 0.2}
        long = ray_serve.app_builder({**args, **SMALL, **quick})
        try:
            serve.run_many(
                [
                    serve.RunTarget(two, name="two", route_prefix="/"),
                    serve.RunTarget(long, name="long", route_prefix="/long"),
                ]
            )
            yield f"http://127.0.0.1:{port}"
        finally:
            serve.shutdown()


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    """OpenAI's client of the two replicas."""
    with openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as made:
        yield made


@pytest.fixture
def long(address: str) -> Iterator[Any]:
    """OpenAI's client of the model that writes long texts."""
    url = f"{address}/long/v1"
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def babble(babbling: Path) -> Iterator[Model]:
    with llamacy.load(babbling, n_threads=1) as model:
        yield model


def begun(client: Any, model: Model, seed: int, **options: Any) -> Any:
    """Return a stream of a long text, of which a chunk has come."""
    end = {str(model.tokenizer.eos_id): -100}
    options = {"max_tokens": N_LONG, "logit_bias": end, "seed": seed, **options}
    stream = client.completions.create(
        model="babble", prompt="a", stream=True, **options
    )
    assert next(stream).choices
    return stream


def n_running(address: str) -> float:
    """Return the texts that the model of long texts writes."""
    headers = {"authorization": f"Bearer {KEY}"}
    shown = httpx.get(f"{address}/long/metrics", headers=headers).text
    (line,) = (
        line for line in shown.splitlines() if line.startswith("llamacy_texts_running{")
    )
    assert 'replica="' in line
    return float(line.split()[-1])


def test_answers_are_those_of_the_model(client: Any, demo: Model) -> None:
    ask = client.chat.completions.create
    wanted = demo.chat(QUESTION, temperature=0).text
    for _ in range(4):  # two replicas
        answer = ask(model="demo", messages=QUESTION, temperature=0)
        assert answer.choices[0].message.content == wanted
        chunks = ask(model="demo", messages=QUESTION, temperature=0, stream=True)
        deltas = [chunk.choices[0].delta.content or "" for chunk in chunks]
        assert len(deltas) > 2
        assert "".join(deltas) == wanted
    prompt = "The capital of France is"
    text = client.completions.create(model="demo", prompt=prompt, temperature=0)
    assert text.choices[0].text == demo.generate(prompt, temperature=0).text
    vector = client.embeddings.create(model="demo", input=prompt).data[0].embedding
    assert vector == pytest.approx(demo.embed(prompt).tolist(), abs=1e-6)


def test_form_of_answers_is_enforced(client: Any) -> None:
    pytest.importorskip("llguidance", reason="llguidance is absent")
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"n": {"enum": [17, 42]}},
        "required": ["n"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    answer = client.chat.completions.create(
        model="demo", messages=QUESTION, response_format=form, max_tokens=40
    )
    assert json.loads(answer.choices[0].message.content)["n"] in (17, 42)


def test_responses_are_those_of_a_server(address: str, demo: Model) -> None:
    from llamacy.server import app

    bodies = [
        {"model": "other", "messages": QUESTION},
        {"model": "demo", "messages": QUESTION, "temperature": -1},
        {"model": "demo", "messages": QUESTION, "misspelt": 1},
        {"model": "demo", "messages": [{"role": "user", "content": "a " * 5000}]},
    ]
    with running(app({"demo": demo})) as other:
        for body in bodies:
            found, wanted = (
                httpx.post(f"{each}/v1/chat/completions", json=body)
                for each in (address, other)
            )
            assert found.status_code == wanted.status_code != 200
            assert found.json() == wanted.json()
        for path in ("/", "/health", "/nowhere", "/v1/models/other"):
            found, wanted = (httpx.get(each + path) for each in (address, other))
            assert found.status_code == wanted.status_code
            assert found.content == wanted.content
            (_,) = found.headers.get_list("x-request-id")


def test_keys_are_asked_for(address: str, long: Any) -> None:
    assert [model.id for model in long.models.list()] == ["babble"]
    with pytest.raises(openai.AuthenticationError):
        long.with_options(api_key="other").models.list()
    assert httpx.get(f"{address}/long/health").status_code == 200


def test_full_replica_refuses_and_clients_that_leave_make_room(
    address: str, long: Any, babble: Model
) -> None:
    streams = [begun(long, babble, seed) for seed in range(N_PLACES)]
    try:
        assert n_running(address) == N_PLACES  # all of them are streamed as they come
        with pytest.raises(openai.RateLimitError) as caught:
            long.completions.create(model="babble", prompt="a", max_tokens=1)
        assert caught.value.code == "queue_full"
        assert caught.value.response.headers["retry-after"] == "2"
        assert httpx.get(f"{address}/long/health").status_code == 200
    finally:
        for stream in streams:
            stream.close()
    wait_until(lambda: n_running(address) == 0, PATIENCE)
    with pytest.raises(openai.APITimeoutError):
        long.with_options(timeout=0.5).completions.create(
            model="babble",
            prompt="a",
            max_tokens=N_LONG,
            n=N_PLACES,
            logit_bias={str(babble.tokenizer.eos_id): -100},
        )
    wait_until(lambda: n_running(address) == 0, PATIENCE)


def test_lost_replica_is_replaced_and_only_its_clients_notice(
    client: Any, address: str, long: Any, babble: Model
) -> None:
    import ray

    stream = begun(long, babble, 0)
    (lost,) = (
        each["name"]
        for each in ray.util.list_named_actors(all_namespaces=True)
        if each["name"].startswith("SERVE_REPLICA::long#")
    )
    ray.kill(ray.get_actor(lost, namespace="serve"))
    reasons = []
    with pytest.raises((openai.APIError, httpx.HTTPError)):
        reasons = [chunk.choices[0].finish_reason for chunk in stream]
    assert not any(reasons)
    answer = client.chat.completions.create(model="demo", messages=QUESTION)
    assert answer.choices[0].message.content

    def is_back() -> bool:
        response = httpx.get(f"{address}/long/health", timeout=PATIENCE)
        return cast(bool, response.status_code == 200)

    wait_until(is_back, PATIENCE)
    begun(long, babble, 0, max_tokens=4).close()


def test_running_texts_end_before_a_replica_stops(long: Any, babble: Model) -> None:
    told = {"stream_options": {"include_usage": True}}
    stream = begun(long, babble, 0, max_tokens=N_LONG // 4, **told)
    serve.delete("long")  # returns when the replica has ended
    *_, end, total = stream
    assert end.choices[0].finish_reason == "length"
    assert total.usage.completion_tokens == N_LONG // 4


def test_replicas_take_what_their_model_takes(babbling: Path) -> None:
    with llamacy.load(babbling, n_threads=1, max_active=5) as model:
        made = ray_serve.deployment(model, max_waiting=3, num_replicas="auto")
    config = made._bound_deployment._deployment_config
    assert config.autoscaling_config.target_ongoing_requests == 5
    assert config.max_queued_requests == 5 + 3 < config.max_ongoing_requests
    small = ray_serve.deployment("demo", max_waiting=3, load_options={"n_batch": 8})
    assert small._bound_deployment._deployment_config.max_queued_requests == 8 + 3


def test_bad_options_are_errors_of_deploying() -> None:
    bad: tuple[tuple[dict[str, Any], str], ...] = (
        ({"num_cpus": "x"}, "an option of Ray Serve: .*num_cpus"),
        ({"num_replicas": -1}, "an option of Ray Serve: .*num_replicas .*equal to 0$"),
        ({"ray_actor_options": 5}, "ray_actor_options: wanted options .*found 5"),
        ({"load_options": {5: 1}}, "load_options: wanted options .*found {5: 1}"),
        ({"load_options": {"n_batch": 0}}, "n_batch: wanted .*found 0"),
        ({"api_key": KEY}, "api_key: unknown option; did you mean api_keys"),
    )
    for options, message in bad:
        with pytest.raises(llamacy.ArgumentError, match=message):
            ray_serve.deployment("demo", **options)
    with pytest.raises(llamacy.ArgumentError, match="wanted a model") as caught:
        ray_serve.app_builder({"api_keys": [KEY]})
    assert KEY not in str(caught.value)


def test_bad_models_are_errors_of_deploying(cluster: Any, tmp_path: Path) -> None:
    absent, broken = str(tmp_path / "absent.gguf"), tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF and no more")
    with pytest.raises(llamacy.ModelFileError, match="absent.gguf: no such file"):
        ray_serve.deployment(absent)  # the nodes were asked
    with pytest.raises(llamacy.ModelFileError, match="no such file"):
        ray_serve.deployment("models/absent.gguf")
    with pytest.raises(llamacy.FormatError, match="broken.gguf"):
        ray_serve.deployment(broken)
