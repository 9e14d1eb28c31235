"""Embeddings and rankings, asked for by the unmodified clients of others."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import llamacy
from tests.support.encoder_fixtures import WriteEncoder
from tests.support.served import running

openai = pytest.importorskip("openai")
httpx = pytest.importorskip("httpx")
pytest.importorskip("llamacy.server", exc_type=ImportError)

pytestmark = pytest.mark.server

TEXTS = ["the cat sat", "a dog"]
LONG = "cat " * 40


@pytest.fixture(scope="module")
def client(encoders_url: str) -> Iterator[Any]:
    url = f"{encoders_url}/v1"
    with openai.OpenAI(base_url=url, api_key="k", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def post(encoders_url: str) -> Any:
    def post(path: str, **body: Any) -> Any:
        return httpx.post(encoders_url + path, json=body)

    return post


def test_vectors_are_the_librarys(client: Any, encoder_model: llamacy.Model) -> None:
    expected = encoder_model.embed(TEXTS)
    for wanted in ({}, {"encoding_format": "float"}):  # base64 by default
        found = client.embeddings.create(model="encoder", input=TEXTS, **wanted)
        assert [one.index for one in found.data] == [0, 1]
        vectors = np.array([one.embedding for one in found.data], np.float32)
        assert np.array_equal(vectors, np.asarray(expected))
        assert found.model == "encoder"
        assert found.usage.prompt_tokens == sum(expected.token_counts)
    raw = client.embeddings.with_raw_response.create(model="encoder", input="the cat")
    (one,) = raw.http_response.json()["data"]
    numbers = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
    assert np.array_equal(numbers, np.asarray(encoder_model.embed("the cat")))


def test_a_model_with_a_vector_for_each_token_is_refused(
    write_encoder: WriteEncoder,
) -> None:
    from llamacy.server import app

    with llamacy.load(write_encoder(pooling_type=0)) as model:
        with running(app({"m": model})) as url:
            for path in "/v1/embeddings", "/api/embed":
                found = httpx.post(url + path, json={"model": "m", "input": "cat"})
                assert found.status_code == 400
                assert "pooling: wanted mean, cls or last" in found.text


def test_vectors_can_be_cut(client: Any) -> None:
    found = client.embeddings.create(model="encoder", input="a", dimensions=8)
    vector = np.array(found.data[0].embedding)
    assert vector.shape == (8,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


def test_a_model_that_writes_texts_has_vectors_too(client: Any) -> None:
    found = client.embeddings.create(model="demo", input=TEXTS)
    assert len(found.data[1].embedding) > 8


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"input": [1, 2, 3]}, "input", "check_embedding_ctx_length"),
        ({"input": [[1, 2], [3]]}, "input", "check_embedding_ctx_length"),
        ({"input": []}, "input", "a list of texts"),
        ({"input": ["a", None]}, "input[1]", "a text"),
        ({"input": ["a"] * 2049}, "input", "2048"),
        ({"input": ["a", LONG]}, "input[1]", "too long"),
        ({"input": ["a", LONG * 9]}, "input[1]", "too long"),
        ({"input": "a", "dimensions": 0}, "dimensions", "dimensions"),
        ({"input": "a", "dimensions": 10_000}, "dimensions", "dimensions"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "base64"),
        ({"input": "a", "prompt_name": "query"}, "prompt_name", "prompt"),
        ({"input": "a", "inputs": "b"}, "inputs", "unknown option"),
    ],
)
def test_mistakes_are_named(post: Any, body: Any, field: str, message: str) -> None:
    answer = post("/v1/embeddings", model="encoder", **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == field
    assert message in error["message"]


def test_a_long_text_is_cut_only_if_that_is_asked_for(post: Any) -> None:
    answer = post("/v1/embeddings", model="encoder", input=LONG, truncate=True)
    assert answer.json()["usage"]["prompt_tokens"] == 24


def test_an_encoder_writes_nothing(client: Any, post: Any) -> None:
    messages = [{"role": "user", "content": "the cat"}]
    with pytest.raises(openai.BadRequestError, match="embed") as caught:
        client.chat.completions.create(model="encoder", messages=messages)
    assert caught.value.param == "model"
    for path, body in (
        ("/v1/chat/completions", {"messages": messages, "stream": True}),
        ("/v1/completions", {"prompt": "the cat"}),
        ("/v1/responses", {"input": "the cat"}),
        ("/v1/messages", {"messages": messages, "max_tokens": 4}),
        ("/api/chat", {"messages": messages}),
        ("/api/generate", {"prompt": "the cat", "stream": True}),
    ):
        answer = post(path, model="encoder", **body)
        assert answer.status_code == 400
        assert "embed" in answer.text


def test_documents_are_ranked(post: Any, reranker_model: llamacy.Model) -> None:
    query, documents = "who lives here?", ["the mat", "a cat lives here", "a dog"]
    expected = reranker_model.rerank(query, documents)
    asked = {"model": "reranker", "query": query, "documents": documents}
    for path in ("/v1/rerank", "/rerank", "/v2/rerank"):
        found = post(path, **asked, top_n=2, return_documents=True).json()
        assert [one["index"] for one in found["results"]] == expected.order[:2]
        for one in found["results"]:
            score = float(expected.scores[one["index"]])
            assert one["relevance_score"] == pytest.approx(score)
            assert one["document"] == {"text": documents[one["index"]]}
        assert found["usage"]["total_tokens"] == sum(expected.token_counts)
    objects = [{"text": text} for text in documents]
    again = post("/v1/rerank", **{**asked, "documents": objects}).json()
    assert [one["index"] for one in again["results"]] == expected.order
    assert "document" not in again["results"][0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": "a"}, "documents"),
        ({"query": "a", "documents": ["b", 1]}, "documents[1]"),
        ({"documents": ["b"]}, "query"),
        ({"query": "a", "documents": ["b"], "top_n": 0}, "top_n"),
        ({"query": "a", "documents": ["b", LONG]}, "documents[1]"),
        ({"query": "a", "documents": ["b", LONG * 9]}, "documents[1]"),
        ({"query": "a", "documents": ["b"], "model": "encoder"}, "model"),
        ({"query": "a", "documents": ["b"], "instruction": "c"}, "instruction"),
    ],
)
def test_mistakes_of_rankings_are_named(post: Any, body: Any, field: str) -> None:
    answer = post("/v1/rerank", **{"model": "reranker", **body})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field


def test_ollamas_client_embeds(
    encoders_url: str, encoder_model: llamacy.Model, post: Any
) -> None:
    ollama = pytest.importorskip("ollama")
    client = ollama.Client(host=encoders_url)
    expected = encoder_model.embed(TEXTS)
    found = client.embed("encoder:latest", TEXTS)
    assert np.array_equal(np.array(found.embeddings, np.float32), np.asarray(expected))
    assert found.prompt_eval_count == sum(expected.token_counts)
    assert found.model == "encoder:latest"
    assert len(client.embed("encoder", LONG, dimensions=4).embeddings[0]) == 4
    assert client.embed("encoder", "").embeddings == []
    with pytest.raises(ollama.ResponseError, match="too long") as caught:
        client.embed("encoder", LONG, truncate=False)
    assert caught.value.status_code == 400
    before = client.embeddings("encoder", TEXTS[0]).embedding
    plain = np.asarray(encoder_model.embed(TEXTS[0], normalize=False))
    assert np.array_equal(np.array(before, np.float32), plain)
    assert post("/api/embeddings", model="encoder").json() == {"embedding": []}
    assert client.show("encoder").capabilities == ["embedding"]


def test_litellm_embeds_and_ranks(encoders_url: str) -> None:
    litellm = pytest.importorskip("litellm")
    options = {"api_base": f"{encoders_url}/v1", "api_key": "k"}
    found = litellm.embedding("openai/encoder", TEXTS, **options)
    assert len(found.data) == 2
    found = litellm.embedding("ollama/encoder", TEXTS, api_base=encoders_url)
    assert len(found.data) == 2
    ranked = litellm.rerank(
        model="jina_ai/reranker", query="a", documents=TEXTS, top_n=1, **options
    )
    assert len(ranked.results) == 1
    ranked = litellm.rerank(
        model="cohere/reranker",
        query="a",
        documents=TEXTS,
        api_base=encoders_url,
        api_key="k",
    )
    assert {one["index"] for one in ranked.results} == {0, 1}


def test_langchain_is_told_to_send_texts(encoders_url: str) -> None:
    of = pytest.importorskip("langchain_openai")
    options: dict[str, Any] = {
        "base_url": f"{encoders_url}/v1",
        "api_key": "k",
        "model": "encoder",
        "max_retries": 0,
    }
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length"):
        of.OpenAIEmbeddings(**options).embed_query("the cat")
    embeddings = of.OpenAIEmbeddings(**options, check_embedding_ctx_length=False)
    assert len(embeddings.embed_documents(TEXTS)) == 2
