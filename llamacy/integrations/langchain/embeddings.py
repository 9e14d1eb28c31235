"""Vectors and rankings of texts, for LangChain's stores and retrievers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.embeddings import Embeddings
from pydantic import Field

from llamacy import Ranking
from llamacy.generation.embedding.vectors import vector_of_each
from llamacy.integrations.loading import HeldModel

_OF_QUERIES: Final = ("query",)
_OF_DOCUMENTS: Final = ("document", "passage", "corpus")


class LlamacyEmbeddings(HeldModel, Embeddings):
    """Embeds texts, for LangChain's vector stores.

    Attributes
    ----------
    model : str, os.PathLike or llamacy.Model
        A path or a name, as for `llamacy.load`, or a model that is loaded.
    n_ctx, n_threads, n_batch, kv_type, quantize, prompt_cache : optional
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

    pooling: str | None = Field(None, description="mean, cls or last")
    dimensions: int | None = Field(None, description="Numbers to keep of a vector")
    normalize: bool | None = Field(None, description="Whether to divide by the norm")
    truncate: bool = Field(False, description="Whether to cut texts that are too long")
    query_prompt: str | None = Field(None, description="Text before queries")
    document_prompt: str | None = Field(None, description="Text before documents")

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts that are searched."""
        options = self._options(self.document_prompt, _OF_DOCUMENTS)
        vectors = vector_of_each(self.loaded.embed(texts, **options))
        found: list[list[float]] = vectors.tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        """Embed a text that is searched for."""
        options = self._options(self.query_prompt, _OF_QUERIES)
        vector = vector_of_each(self.loaded.embed(text, **options))
        found: list[float] = vector.tolist()
        return found

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts that are searched, without blocking the event loop."""
        options = self._options(self.document_prompt, _OF_DOCUMENTS)
        vectors = vector_of_each(await self.loaded.aembed(texts, **options))
        found: list[list[float]] = vectors.tolist()
        return found

    async def aembed_query(self, text: str) -> list[float]:
        """Embed a text that is searched for, without blocking the event loop."""
        options = self._options(self.query_prompt, _OF_QUERIES)
        vector = vector_of_each(await self.loaded.aembed(text, **options))
        found: list[float] = vector.tolist()
        return found

    def _options(self, prompt: str | None, names: Sequence[str]) -> Any:
        """Return the options of a call, with a prompt of the model's if it has one."""
        known = self.loaded.config.embedding.prompts
        own = next((name for name in names if name in known), None)
        return {
            "pooling": self.pooling,
            "dimensions": self.dimensions,
            "normalize": self.normalize,
            "truncate": self.truncate,
            "prompt": prompt,
            "prompt_name": own if prompt is None else None,
        }


class LlamacyReranker(HeldModel, BaseDocumentCompressor):
    """Keeps the documents that answer a query best, the best first.

    For LangChain's `ContextualCompressionRetriever`. The documents' metadata have the
    score as `relevance_score`.

    Attributes
    ----------
    model : str, os.PathLike or llamacy.Model
        A reranker: a path or a name, as for `llamacy.load`, or a model that is loaded.
    n_ctx, n_threads, n_batch, kv_type, quantize, prompt_cache : optional
        As for `llamacy.load`, if `model` is a path or a name.
    top_n : int or None, default 3
        How many documents to keep; None keeps all.
    truncate : bool, default False
        Whether texts that are too long are cut; by default they are an error.
    instruction : str, optional
        The task, for models that are told of it.
    """

    top_n: int | None = Field(3, description="How many documents to keep")
    truncate: bool = Field(False, description="Whether to cut texts that are too long")
    instruction: str | None = Field(None, description="The task")

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """Return the best documents, in their order."""
        texts = [document.page_content for document in documents]
        return _best(documents, self.loaded.rerank(query, texts, **self._options()))

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Any = None
    ) -> Sequence[Document]:
        """Return the best documents without blocking the event loop."""
        texts = [document.page_content for document in documents]
        ranking = await self.loaded.arerank(query, texts, **self._options())
        return _best(documents, ranking)

    def _options(self) -> Any:
        return {
            "top_n": self.top_n,
            "truncate": self.truncate,
            "instruction": self.instruction,
        }


def _best(documents: Sequence[Document], ranking: Ranking) -> list[Document]:
    """Return copies of the best documents, with their scores."""
    found = []
    for index, score in ranking:
        given = documents[index]
        metadata = {**given.metadata, "relevance_score": score}
        found.append(given.model_copy(update={"metadata": metadata}))
    return found
