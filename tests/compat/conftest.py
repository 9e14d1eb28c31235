"""Models for calls of llama-cpp-python's API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llamacy.compat.llama_cpp import Llama


@pytest.fixture(scope="session")
def stories_path(shared: Path) -> str:
    return str(shared / "models/stories260K-F32.gguf")


@pytest.fixture(scope="session")
def stories(stories_path: str) -> Iterator[Llama]:
    """A model of children's stories; tests expect llama-cpp-python's values."""
    with Llama(stories_path, logits_all=True, verbose=False) as llm:
        yield llm


@pytest.fixture(scope="session")
def babble(babble_model: Path) -> Iterator[Llama]:
    """A model with random weights."""
    with Llama(str(babble_model), n_ctx=0, verbose=False) as llm:
        yield llm
