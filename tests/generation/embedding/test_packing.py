"""Texts are put into passes."""

from __future__ import annotations

import numpy as np
import pytest

from llamacy.generation.embedding.packing import packed


@pytest.mark.parametrize("seed", range(20))
def test_passes_are_filled_with_the_longest_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 40, rng.integers(30)).tolist()
    n_rows = int(rng.integers(1, 100))
    passes = packed(lengths, n_rows)
    found = [lengths[i] for each in passes for i in each]
    assert sorted(i for each in passes for i in each) == list(range(len(lengths)))
    assert found == sorted(lengths, reverse=True)
    for this, following in zip(passes, [*passes[1:], []], strict=True):
        total = sum(lengths[i] for i in this)
        assert total <= n_rows or len(this) == 1
        assert not following or total + lengths[following[0]] > n_rows
