"""A model and vocabularies that have the marks of chat templates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import random_model
import tool_templates

import llamacy
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.base import Tokenizer

MakeTokenizer = Callable[..., Tokenizer]


@pytest.fixture(scope="session")
def puppet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[llamacy.Model]:
    """A model with the marks of many families, which says what a test dictates."""
    path: Path = tmp_path_factory.mktemp("models") / "puppet.gguf"
    random_model.write(
        str(path),
        chat_template=tool_templates.HERMES,
        marks=tool_templates.MARKS,
        n_ctx=4096,
        space_prefix=False,
    )
    with llamacy.load(path) as model:
        yield model


@pytest.fixture
def make_tokenizer() -> MakeTokenizer:
    """Return a function that makes a vocabulary of bytes and of further tokens."""

    def make(
        control: Sequence[str] = (), user_defined: Sequence[str] = (), **keys: Any
    ) -> Tokenizer:
        tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
        tokens.append("\u2581")  # a space
        types = (
            [2, 3, 3] + [6] * 256 + [1] + [3] * len(control) + [4] * len(user_defined)
        )
        tokens += [*control, *user_defined]
        metadata = {
            "tokenizer.ggml.model": "llama",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [0.0] * len(tokens),
            "tokenizer.ggml.token_type": types,
            "tokenizer.ggml.add_space_prefix": False,
        } | {f"tokenizer.ggml.{key}": value for key, value in keys.items()}
        return tokenizer_from_metadata(metadata, "vocabulary")

    return make
