"""LlamaIndex's interfaces: `Llamacy`, for its engines, indexes and agents.

`LlamacyEmbedding` embeds the texts of its indexes, and `LlamacyReranker` keeps those
that answer a query best.

Needs the package llama-index-core: ``pip install '.[llama-index]'``.
"""

from __future__ import annotations

from llamacy.integrations.extras import needs

with needs("llama_index", "llama-index"):
    import llama_index.core  # noqa: F401  # before pydantic, which comes with it

    from llamacy.integrations.llama_index.embedding import LlamacyEmbedding
    from llamacy.integrations.llama_index.model import Llamacy
    from llamacy.integrations.llama_index.reranker import LlamacyReranker

__all__ = ["Llamacy", "LlamacyEmbedding", "LlamacyReranker"]
