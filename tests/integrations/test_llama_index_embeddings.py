"""llamacy as LlamaIndex's embeddings."""

from __future__ import annotations

import asyncio
import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

import llamacy
from tests.support.encoder_fixtures import WriteEncoder

pytest.importorskip("llama_index.core")

from llama_index.core import Document, VectorStoreIndex
from pydantic import ValidationError

from llamacy.integrations.llama_index import LlamacyEmbedding

pytestmark = pytest.mark.integrations

TEXTS = ["the cat sat", "a dog", "who lives here?"]


def test_vectors_are_the_librarys(encoder: Path) -> None:
    embedding = LlamacyEmbedding(model=encoder, n_threads=1, dimensions=8)
    wanted = embedding.loaded.embed(TEXTS, dimensions=8).tolist()
    assert embedding.get_text_embedding_batch(TEXTS) == wanted
    assert embedding.get_text_embedding(TEXTS[1]) == wanted[1]
    assert embedding.get_query_embedding(TEXTS[0]) == wanted[0]
    assert asyncio.run(embedding.aget_text_embedding_batch(TEXTS)) == wanted
    assert asyncio.run(embedding.aget_text_embedding(TEXTS[1])) == wanted[1]
    assert asyncio.run(embedding.aget_query_embedding(TEXTS[0])) == wanted[0]
    for twin in (pickle.loads(pickle.dumps(embedding)), copy.deepcopy(embedding)):
        assert twin.get_query_embedding(TEXTS[0]) == wanted[0]
    with pytest.raises(llamacy.ContextLengthError):
        embedding.get_query_embedding("cat " * 40)


def test_queries_and_documents_have_prompts_of_their_own(
    write_encoder: WriteEncoder,
) -> None:
    prompts: dict[str, Any] = {
        "embedding__prompt_names": ["query", "passage"],
        "embedding__prompts": ["who ", "the "],
    }
    with llamacy.load(write_encoder(**prompts), n_threads=1) as model:
        embedding = LlamacyEmbedding(model=model)
        wanted = model.embed(["who cat", "the cat", "on cat"]).tolist()
        assert embedding.get_query_embedding("cat") == wanted[0]
        assert embedding.get_text_embedding("cat") == wanted[1]
        other = LlamacyEmbedding(model=model, query_prompt="on ", document_prompt="")
        assert other.get_query_embedding("cat") == wanted[2]


def test_an_index_finds_the_text_that_was_asked_for(encoder: Path) -> None:
    embedding = LlamacyEmbedding(model=encoder, n_threads=1)
    documents = [Document(text=text) for text in TEXTS]
    index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
    for text in TEXTS:
        (found,) = index.as_retriever(similarity_top_k=1).retrieve(text)
        assert (found.text, round(found.score, 3)) == (text, 1)


def test_it_says_what_it_is(encoder: Path) -> None:
    embedding = LlamacyEmbedding(model=encoder, n_threads=1)
    name = embedding.loaded.config.name or encoder.name
    assert embedding.to_payload()["model_name"] == embedding.model_name == name
    told = embedding.to_dict()
    assert (told["class_name"], told["model_name"]) == ("Llamacy_embedding", name)
    assert "model" not in told


def test_unknown_fields_are_refused(encoder: Path) -> None:
    wrong: Any = {"dimension": 8}
    with pytest.raises(ValidationError, match="did you mean dimensions"):
        LlamacyEmbedding(model=encoder, **wrong)


def test_a_vector_for_each_token_is_refused(encoder: Path) -> None:
    embedding = LlamacyEmbedding(model=encoder, n_threads=1, pooling="none")
    with pytest.raises(llamacy.ArgumentError, match="pooling: wanted mean, cls"):
        embedding.get_text_embedding("cat")
