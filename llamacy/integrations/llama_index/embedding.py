"""Vectors of texts, for LlamaIndex's indexes."""

from __future__ import annotations

from typing import Self

from llama_index.core.base.embeddings.base import BaseEmbedding
from pydantic import Field, model_validator

from llamacy.integrations.embedding import DOCUMENT, QUERY, EmbeddingModel
from llamacy.integrations.loading import name_of


class LlamacyEmbedding(EmbeddingModel, BaseEmbedding):
    """Embeds texts, for LlamaIndex's indexes.

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
    embed_batch_size : int, default 10
        Texts that LlamaIndex hands over at a time.

    Examples
    --------
    >>> from llamacy.integrations.llama_index import LlamacyEmbedding
    >>> embedding = LlamacyEmbedding(model="demo")
    >>> len(embedding.get_text_embedding_batch(["Once upon a time", "The end."]))
    2
    """

    model_name: str = Field("", description="The model's own name, or its file's")

    @model_validator(mode="after")
    def _name(self) -> Self:
        self.model_name = name_of(self.loaded)
        return self

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex knows the class."""
        return "Llamacy_embedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        (vector,) = self.vectors([query], QUERY)
        return vector

    async def _aget_query_embedding(self, query: str) -> list[float]:
        (vector,) = await self.avectors([query], QUERY)
        return vector

    def _get_text_embedding(self, text: str) -> list[float]:
        (vector,) = self.vectors([text], DOCUMENT)
        return vector

    async def _aget_text_embedding(self, text: str) -> list[float]:
        (vector,) = await self.avectors([text], DOCUMENT)
        return vector

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self.vectors(texts, DOCUMENT)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await self.avectors(texts, DOCUMENT)
