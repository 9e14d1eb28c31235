"""The fields of an adapter that embeds texts, and its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field

from llamacy.generation.embedding.vectors import vector_of_each
from llamacy.integrations.loading import HeldModel

QUERY: Final = ("query",)
"""Names that models have for the prompt of queries."""

DOCUMENT: Final = ("document", "passage", "corpus")
"""Names that models have for the prompt of documents."""


class EmbeddingModel(HeldModel):
    """The fields of an adapter that embeds: a model, and how to embed."""

    pooling: str | None = Field(None, description="mean, cls or last")
    dimensions: int | None = Field(None, description="Numbers to keep of a vector")
    normalize: bool | None = Field(None, description="Whether to divide by the norm")
    truncate: bool = Field(False, description="Whether to cut texts that are too long")
    query_prompt: str | None = Field(None, description="Text before queries")
    document_prompt: str | None = Field(None, description="Text before documents")

    def vectors(self, texts: Sequence[str], names: Sequence[str]) -> list[list[float]]:
        """Return the vector of each text.

        Parameters
        ----------
        texts : sequence of str
            Queries or documents.
        names : sequence of str
            Names of the prompt before them: `QUERY` or `DOCUMENT`.

        Raises
        ------
        ArgumentError
            The model, or `pooling`, has a vector for each token.
        ContextLengthError
            A text is too long, and `truncate` is false.
        """
        found = self.loaded.embed(list(texts), **self._options(names))
        vectors: list[list[float]] = vector_of_each(found).tolist()
        return vectors

    async def avectors(
        self, texts: Sequence[str], names: Sequence[str]
    ) -> list[list[float]]:
        """Return the vector of each text without blocking the event loop."""
        found = await self.loaded.aembed(list(texts), **self._options(names))
        vectors: list[list[float]] = vector_of_each(found).tolist()
        return vectors

    def _options(self, names: Sequence[str]) -> Any:
        """Return the options of a call, with a prompt of the model's if it has one."""
        prompt = self.query_prompt if names is QUERY else self.document_prompt
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
