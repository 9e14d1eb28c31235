"""Models to measure, and texts to measure them on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import llamacy
from llamacy.model.model import Model
from tests.support.levels import rows_alone


@pytest.fixture(scope="session")
def stories(shared: Path) -> Path:
    """A small trained model in float32."""
    return shared / "models/stories260K-F32.gguf"


@pytest.fixture(scope="module")
def babble(babble_model: Path) -> Iterator[Model]:
    with (
        rows_alone(),
        llamacy.load(babble_model, n_threads=1, kv_type="f32") as model,
    ):
        yield model


@pytest.fixture(scope="module")
def babble_ids(babble: Model) -> list[int]:
    """133 tokens: in each run of 20, the model generated all but the first."""
    params = llamacy.SamplingParams(max_tokens=19, top_k=0, temperature=1, seed=2)
    texts = [sample.tokens for sample in babble.generate([1], params, n=7)]
    return [token for tokens in texts for token in (5, *tokens)][:133]
