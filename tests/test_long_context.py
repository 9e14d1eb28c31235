"""Models with RoPE factors for short and for long contexts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.hyperparameters import read_hyperparameters
from tests.support import random_model

N_CTX_ORIG = 64


@pytest.fixture(scope="module")
def path(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    keys = {"rope__scaling__original_context_length": N_CTX_ORIG}
    metadata = llama_metadata("phi3", **keys) | random_model.vocabulary_metadata()
    folder = tmp_path_factory.mktemp("models")
    with open_gguf(write_gguf(folder / "plain.gguf", metadata, {}, "F32")) as file:
        architecture, config = read_hyperparameters(file)
        specs = architecture.tensors(config)
    shapes = {name: spec.shape for name, spec in specs.items()}
    del shapes["rope_freqs.weight"]
    tensors = random_tensors(shapes.items())
    return write_gguf(folder / "model.gguf", metadata, tensors, "F32")


def test_a_short_text_has_the_short_factors_whatever_the_context(path: Path) -> None:
    ids = list(range(260, 290))
    logits = {}
    for n_ctx in (32, N_CTX_ORIG, N_CTX_ORIG + 1, None):
        with llamacy.load(path, n_ctx=n_ctx, n_threads=1) as model:
            logits[n_ctx] = model.logits(ids)
    for n_ctx in (N_CTX_ORIG, N_CTX_ORIG + 1, None):
        np.testing.assert_array_equal(logits[32], logits[n_ctx])


def test_a_long_text_has_the_long_factors_from_its_first_token(path: Path) -> None:
    ids = [260 + i % 30 for i in range(N_CTX_ORIG + 1)]
    with llamacy.load(path, n_threads=1) as model:
        short, long = model.logits(ids[:-1]), model.logits(ids)[:-1]
    assert np.abs(short - long).max() > 1e-3


def test_a_saved_session_of_a_short_text_loads_with_any_context(
    path: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "text.session"
    with llamacy.load(path, n_ctx=N_CTX_ORIG, n_threads=1) as model:
        session = model.session()
        session.generate("ba di", max_tokens=4)
        session.save(saved)
        tokens = session.tokens
    for n_ctx in (32, None):
        with llamacy.load(path, n_ctx=n_ctx, n_threads=1) as model:
            assert model.load_session(saved).tokens == tokens
