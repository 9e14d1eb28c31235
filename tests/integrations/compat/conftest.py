"""Libraries written for llama-cpp-python find llamacy's module, and models for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy import compat
from llamacy.compat.llama_cpp import Llama
from tests.support import random_model
from tests.support.puppet import saying
from tests.support.tool_templates import HERMES

# before any test module imports llama_cpp, or a library that does
compat.install()


@pytest.fixture(scope="session")
def demo_path() -> str:
    """The demo model's file, for libraries that look whether it exists."""
    return str(Path(llamacy.__file__).parent / "model_files/demo.gguf")


@pytest.fixture(scope="session")
def puppet_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model with a chat template that writes tools and tool calls."""
    path = tmp_path_factory.mktemp("models") / "puppet.gguf"
    random_model.write(str(path), chat_template=HERMES, n_ctx=2048)
    return str(path)


Told = Callable[[Llama, str], dict[str, Any]]


@pytest.fixture(scope="session")
def told() -> Told:
    """Return options for one call that make a Llama say something."""

    def options(llm: Llama, text: str) -> dict[str, Any]:
        processor = saying(llm._model, text)["logits_processors"]
        return {"logits_processor": processor, "max_tokens": 200}

    return options
