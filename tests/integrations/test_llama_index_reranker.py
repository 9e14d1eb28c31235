"""llamacy as a reranker of LlamaIndex's nodes."""

from __future__ import annotations

import asyncio
import copy
import pickle
from pathlib import Path
from typing import Any

import pytest

import llamacy

pytest.importorskip("llama_index.core")

from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from pydantic import ValidationError

from llamacy.integrations.llama_index import LlamacyReranker

pytestmark = pytest.mark.integrations

TEXTS = ["the cat sat", "a dog", "who lives here?"]


def nodes() -> list[NodeWithScore]:
    return [NodeWithScore(node=TextNode(text=text), score=0.5) for text in TEXTS]


def test_the_best_nodes_are_kept(cross_encoder: Path) -> None:
    reranker = LlamacyReranker(model=cross_encoder, n_threads=1, top_n=2)
    wanted = [
        (TEXTS[index], score)
        for index, score in reranker.loaded.rerank("who", TEXTS, top_n=2)
    ]
    given = nodes()
    bundle = QueryBundle("who")
    for found in (
        reranker.postprocess_nodes(given, query_str="who"),
        asyncio.run(reranker.apostprocess_nodes(given, bundle)),
        pickle.loads(pickle.dumps(reranker)).postprocess_nodes(given, bundle),
        copy.deepcopy(reranker).postprocess_nodes(given, bundle),
    ):
        assert [(each.text, each.score) for each in found] == wanted
    assert [each.score for each in given] == [0.5] * len(TEXTS)
    assert reranker.postprocess_nodes([], query_str="who") == []


def test_nodes_are_read_with_the_metadata_that_they_are_embedded_with(
    cross_encoder: Path,
) -> None:
    reranker = LlamacyReranker(model=cross_encoder, n_threads=1)
    metadata = {"seen": "a dog", "hidden": "cat"}
    node = TextNode(
        text=TEXTS[0], metadata=metadata, excluded_embed_metadata_keys=["hidden"]
    )
    (found,) = reranker.postprocess_nodes([NodeWithScore(node=node)], query_str="who")
    text = "seen: a dog\n\nthe cat sat"
    assert found.score == reranker.loaded.rerank("who", [text]).scores[0]


def test_an_engine_answers_from_the_best_nodes(cross_encoder: Path) -> None:
    documents = [Document(text=text) for text in TEXTS]
    index = VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(4))
    reranker = LlamacyReranker(model=cross_encoder, n_threads=1, top_n=1)
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=3, node_postprocessors=[reranker]
    )
    (found,) = engine.query("who").source_nodes
    (best,) = reranker.loaded.rerank("who", TEXTS, top_n=1)
    assert (found.text, found.score) == (TEXTS[best[0]], best[1])


def test_what_is_wrong_is_said(cross_encoder: Path, encoder: Path) -> None:
    wrong: Any = {"top": 2}
    with pytest.raises(ValidationError, match="did you mean top_n"):
        LlamacyReranker(model=cross_encoder, **wrong)
    reranker = LlamacyReranker(model=cross_encoder, n_threads=1)
    with pytest.raises(llamacy.ArgumentError, match="query_bundle: wanted a query"):
        reranker.postprocess_nodes(nodes())
    with pytest.raises(llamacy.ArgumentError, match="wanted a reranker"):
        LlamacyReranker(model=encoder, n_threads=1).postprocess_nodes(
            nodes(), query_str="who"
        )
