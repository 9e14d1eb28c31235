"""A small search by meaning finds passages in sentence-transformers' order."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import llamacy
from tests.support import real_models

pytestmark = pytest.mark.real

HERE = Path(__file__).parent
N_QUESTIONS, N_PASSAGES = 30, 300
ROUNDING = 2e-6  # of a cosine, computed in another order


@pytest.fixture(scope="module")
def model() -> Iterator[llamacy.Model]:
    folder = real_models.fetched_folder(real_models.MINILM)
    with llamacy.load(folder) as model:
        yield model


@pytest.fixture(scope="module")
def texts() -> tuple[list[str], list[str]]:
    lines = (HERE / "retrieval.txt").read_text(encoding="utf-8").splitlines()
    questions = [line[2:] for line in lines if line.startswith("? ")]
    passages = [line for line in lines if not line.startswith("? ")]
    assert (len(questions), len(passages)) == (N_QUESTIONS, N_PASSAGES)
    return questions, passages


@pytest.fixture(scope="module")
def wanted() -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    found = json.loads((HERE / "retrieval.json").read_text(encoding="utf-8"))
    order = np.frombuffer(zlib.decompress(base64.b64decode(found["order"])), "<u2")
    return order.reshape(N_QUESTIONS, N_PASSAGES)


def test_passages_are_found_in_the_order_of_sentence_transformers(
    model: llamacy.Model,
    texts: tuple[list[str], list[str]],
    wanted: np.ndarray[tuple[int, int], np.dtype[np.uint16]],
) -> None:
    questions, passages = map(model.embed, texts)
    scores = questions @ passages.T
    in_their_order = np.take_along_axis(scores, wanted.astype(int), axis=1)
    assert (np.diff(in_their_order, axis=1) < ROUNDING).all()
    np.testing.assert_array_equal(scores.argmax(axis=1), wanted[:, 0])
    answers = np.arange(N_QUESTIONS)[:, None] * (N_PASSAGES // N_QUESTIONS)
    assert np.mean((wanted[:, :3] == answers).any(axis=1)) > 0.95
