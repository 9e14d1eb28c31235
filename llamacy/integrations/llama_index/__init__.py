"""LlamaIndex's interfaces: `Llamacy`, for its engines, indexes and agents.

`LlamacyEmbedding` embeds the texts of its indexes.

Needs the package llama-index-core: ``pip install '.[llama-index]'``.
"""

from __future__ import annotations

from llamacy.integrations.extras import needs

with needs("llama_index", "llama-index"):
    import llama_index.core  # noqa: F401  # before pydantic, which comes with it

    from llamacy.integrations.llama_index.embedding import LlamacyEmbedding
    from llamacy.integrations.llama_index.model import Llamacy

__all__ = ["Llamacy", "LlamacyEmbedding"]
