"""LlamaIndex's interface: `Llamacy`, for its engines, indexes and agents.

Needs the package llama-index-core: ``pip install '.[llama-index]'``.
"""

from __future__ import annotations

from llamacy.integrations.extras import needs

with needs("llama_index", "llama-index"):
    import llama_index.core  # noqa: F401  # before pydantic, which comes with it

    from llamacy.integrations.llama_index.model import Llamacy

__all__ = ["Llamacy"]
