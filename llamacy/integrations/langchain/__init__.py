"""LangChain's interfaces: `Llamacy` continues texts, `ChatLlamacy` answers messages.

`LlamacyEmbeddings` embeds texts, and `LlamacyReranker` ranks documents.

Needs the package langchain-core: ``pip install '.[langchain]'``.
"""

from __future__ import annotations

from llamacy.integrations.extras import needs

with needs("langchain_core", "langchain"):
    import langchain_core  # noqa: F401  # before pydantic, which comes with it

    from llamacy.integrations.langchain.chat_model import ChatLlamacy
    from llamacy.integrations.langchain.embeddings import (
        LlamacyEmbeddings,
        LlamacyReranker,
    )
    from llamacy.integrations.langchain.text_model import Llamacy

__all__ = ["ChatLlamacy", "Llamacy", "LlamacyEmbeddings", "LlamacyReranker"]
