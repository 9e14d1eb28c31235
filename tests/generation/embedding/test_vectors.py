"""Embeddings are arrays that know what was read for them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from llamacy.generation.embedding.vectors import Embeddings, finished

VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture
def made() -> Embeddings:
    return Embeddings(VECTORS.copy(), (4, 5, 6), (0, 1, 0))


def test_everything_made_of_them_is_a_plain_array(made: Embeddings) -> None:
    functions: list[Any] = [
        *(made + 1, 2 * made, made @ made.T, made > 1, -made, made / 2),
        *(made[1:], made[0], made[:, 0], made[[0, 2]], made[made > 1]),
        *(np.sqrt(made), np.add.reduce(made), np.concatenate([made, made])),
        *(np.linalg.norm(made, axis=1), np.vstack([made, made]), np.dot(made, made.T)),
        *made,
    ]
    for each in functions:
        assert type(each) is np.ndarray
    assert type(made[0, 0]) is np.float32
    np.testing.assert_array_equal(made @ made.T, VECTORS @ VECTORS.T)


def test_views_of_them_have_no_counts(made: Embeddings) -> None:
    view: Any
    for view in (made.T, made.reshape(2, 3), made.ravel(), made.astype(np.float64)):
        with pytest.raises(AttributeError, match="not the embeddings of a call"):
            view.token_counts  # noqa: B018
        assert type(pickle.loads(pickle.dumps(view))) is np.ndarray


def test_computing_in_place_keeps_them(made: Embeddings) -> None:
    same = made
    made *= 2
    assert made is same
    assert made.token_counts == (4, 5, 6)
    np.testing.assert_array_equal(made, VECTORS * 2)


def test_copies_count_the_same_tokens(made: Embeddings) -> None:
    copies = [made.copy(), copy.copy(made), copy.deepcopy(made)]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        copies.append(pickle.loads(pickle.dumps(made, protocol)))
    for each in copies:
        assert type(each) is Embeddings
        assert (each.token_counts, each.cut_counts) == ((4, 5, 6), (0, 1, 0))
        assert each.usage.prompt_tokens == 15
        np.testing.assert_array_equal(each, made)
        assert not np.shares_memory(each, made)


def test_norms_neither_overflow_nor_divide_by_nothing() -> None:
    rows = np.array([[3e30, 4e30], [0, 0], [3e-30, 4e-30]], np.float32)
    wanted = np.array([[0.6, 0.8], [0, 0], [0.6, 0.8]])
    np.testing.assert_allclose(finished(rows, 2, normalize=True), wanted, rtol=1e-6)
