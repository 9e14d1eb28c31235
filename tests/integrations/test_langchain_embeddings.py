"""llamacy as LangChain's embeddings, and as a compressor of documents."""

from __future__ import annotations

import asyncio
import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

import llamacy
from tests.support.encoder_fixtures import WriteEncoder

pytest.importorskip("langchain_core")

from langchain_core.documents import Document

from llamacy.integrations.langchain import LlamacyEmbeddings, LlamacyReranker

pytestmark = pytest.mark.integrations

TEXTS = ["the cat sat", "a dog", "who lives here?"]


def test_vectors_are_the_librarys(encoder: Path) -> None:
    embeddings = LlamacyEmbeddings(model=encoder, n_threads=1, dimensions=8)
    wanted = embeddings.loaded.embed(TEXTS, dimensions=8)
    assert embeddings.embed_documents(TEXTS) == wanted.tolist()
    assert embeddings.embed_query(TEXTS[0]) == wanted[0].tolist()
    assert asyncio.run(embeddings.aembed_documents(TEXTS)) == wanted.tolist()
    assert asyncio.run(embeddings.aembed_query(TEXTS[0])) == wanted[0].tolist()
    for twin in (pickle.loads(pickle.dumps(embeddings)), copy.deepcopy(embeddings)):
        assert twin.embed_query(TEXTS[0]) == wanted[0].tolist()
    with pytest.raises(llamacy.ContextLengthError):
        embeddings.embed_query("cat " * 40)


def test_queries_and_documents_have_prompts_of_their_own(
    write_encoder: WriteEncoder,
) -> None:
    prompts: dict[str, Any] = {
        "embedding__prompt_names": ["query", "passage"],
        "embedding__prompts": ["who ", "the "],
    }
    with llamacy.load(write_encoder(**prompts), n_threads=1) as model:
        embeddings = LlamacyEmbeddings(model=model)
        wanted = model.embed(["who cat", "the cat", "on cat"])
        assert embeddings.embed_query("cat") == wanted[0].tolist()
        assert embeddings.embed_documents(["cat"]) == wanted[1:2].tolist()
        other = LlamacyEmbeddings(model=model, query_prompt="on ", document_prompt="")
        assert other.embed_query("cat") == wanted[2].tolist()
        plain = other.embed_documents(["cat"])
        np.testing.assert_array_equal(plain, model.embed(["cat"]))


def test_a_vector_for_each_token_is_refused(encoder: Path) -> None:
    embeddings = LlamacyEmbeddings(model=encoder, n_threads=1, pooling="none")
    for call in (
        lambda: embeddings.embed_query("cat"),
        lambda: embeddings.embed_documents(["cat"]),
        lambda: asyncio.run(embeddings.aembed_query("cat")),
        lambda: asyncio.run(embeddings.aembed_documents(["cat"])),
    ):
        with pytest.raises(llamacy.ArgumentError, match="pooling: wanted mean, cls"):
            call()


def test_the_best_documents_are_kept(cross_encoder: Path) -> None:
    reranker = LlamacyReranker(model=cross_encoder, n_threads=1, top_n=2)
    documents = [Document(page_content=text, metadata={"a": 1}) for text in TEXTS]
    wanted = list(reranker.loaded.rerank("who", TEXTS, top_n=2))
    for found in (
        reranker.compress_documents(documents, "who"),
        asyncio.run(reranker.acompress_documents(documents, "who")),
    ):
        assert [each.page_content for each in found] == [TEXTS[i] for i, _ in wanted]
        scores = [each.metadata["relevance_score"] for each in found]
        assert scores == [score for _, score in wanted]
    assert documents[0].metadata == {"a": 1}


def test_unknown_fields_are_refused(encoder: Path) -> None:
    wrong: Any = {"dimension": 8}
    with pytest.raises((llamacy.ArgumentError, ValidationError), match="dimension"):
        LlamacyEmbeddings(model=encoder, **wrong)
