"""The fields of an adapter that ranks texts, and its ranking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from llamacy import Ranking
from llamacy.integrations.loading import HeldModel


class RerankingModel(HeldModel):
    """The fields of an adapter that ranks: a reranker, and how to rank."""

    top_n: int | None = Field(3, description="How many of the best to keep")
    truncate: bool = Field(False, description="Whether to cut texts that are too long")
    instruction: str | None = Field(None, description="The task")

    def ranking(self, query: str, texts: Sequence[str]) -> Ranking:
        """Return the order of texts by how well they answer a query.

        Raises
        ------
        ArgumentError
            The model is no reranker, or a field is not possible.
        ContextLengthError
            A query and a text are too long, and `truncate` is false.
        """
        return self.loaded.rerank(query, texts, **self._options())

    async def aranking(self, query: str, texts: Sequence[str]) -> Ranking:
        """Return the order of texts without blocking the event loop."""
        return await self.loaded.arerank(query, texts, **self._options())

    def _options(self) -> Any:
        return {
            "top_n": self.top_n,
            "truncate": self.truncate,
            "instruction": self.instruction,
        }
