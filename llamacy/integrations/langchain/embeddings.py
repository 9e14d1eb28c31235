"""Vectors and rankings of texts, for LangChain's stores and retrievers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings

from llamacy import Ranking
from llamacy.integrations.embedding import DOCUMENT, QUERY, EmbeddingModel
from llamacy.integrations.reranking import RerankingModel


class LlamacyEmbeddings(EmbeddingModel, Embeddings):
    """Embeds texts, for LangChain's vector stores.

    Attributes
    ----------
    model : str, os.PathLike or llamacy.Model
        A path or a name, as for `llamacy.load`, or a model that is loaded.
    n_ctx, n_threads, n_batch, kv_type, quantize, prompt_cache, max_active : optional
        As for `llamacy.load`, if `model` is a path or a name.
    pooling, dimensions, normalize : optional
        As for `llamacy.Model.embed`.
    truncate : bool, default False
        Whether texts that are too long are cut; by default they are an error.
    query_prompt, document_prompt : str, optional
        Texts to put before queries and documents. By default the model's own prompts,
        named "query", and "document", "passage" or "corpus", if it has them.

    Examples
    --------
    >>> from llamacy.integrations.langchain import LlamacyEmbeddings
    >>> embeddings = LlamacyEmbeddings(model="demo")
    >>> len(embeddings.embed_documents(["Once upon a time", "The end."]))
    2
    """

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts that are searched."""
        return self.vectors(texts, DOCUMENT)

    def embed_query(self, text: str) -> list[float]:
        """Embed a text that is searched for."""
        (vector,) = self.vectors([text], QUERY)
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts that are searched, without blocking the event loop."""
        return await self.avectors(texts, DOCUMENT)

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a text that is searched for, without blocking the event loop."""
        (vector,) = await self.avectors([text], QUERY)
        return vector


class LlamacyReranker(RerankingModel, BaseDocumentCompressor):
    """Keeps the documents that answer a query best, the best first.

    For LangChain's `ContextualCompressionRetriever`. The documents' metadata have the
    score as `relevance_score`.

    Attributes
    ----------
    model : str, os.PathLike or llamacy.Model
        A reranker: a path or a name, as for `llamacy.load`, or a model that is loaded.
    n_ctx, n_threads, n_batch, kv_type, quantize, prompt_cache, max_active : optional
        As for `llamacy.load`, if `model` is a path or a name.
    top_n : int or None, default 3
        How many documents to keep; None keeps all.
    truncate : bool, default False
        Whether texts that are too long are cut; by default they are an error.
    instruction : str, optional
        The task, for models that are told of it.
    """

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """Return the best documents, in their order."""
        texts = [document.page_content for document in documents]
        return _best(documents, self.ranking(query, texts))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """Return the best documents without blocking the event loop."""
        texts = [document.page_content for document in documents]
        return _best(documents, await self.aranking(query, texts))


def _best(documents: Sequence[Document], ranking: Ranking) -> list[Document]:
    """Return copies of the best documents, with their scores."""
    found = []
    for index, score in ranking:
        given = documents[index]
        metadata = {**given.metadata, "relevance_score": score}
        found.append(given.model_copy(update={"metadata": metadata}))
    return found
