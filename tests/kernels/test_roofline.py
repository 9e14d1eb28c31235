"""The functions timed as the machine's limits do the work that they report."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from llamacy import kernels
from llamacy.kernels.levels import Level
from llamacy.kernels.roofline import BLOCK, fill, multiply, operands, read

if TYPE_CHECKING:
    from tests.kernels.conftest import Steps


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("n_streams", [1, 2, 4, 8])
def test_every_word_is_read_once(n_streams: int, n_threads: int) -> None:
    n_bytes = 3 * BLOCK * n_streams * n_threads
    rng = np.random.default_rng(n_streams)
    words = rng.integers(2**64, size=n_bytes // 8, dtype=np.uint64)
    total = int(words.sum(dtype=np.uint64))
    for ahead in (0, 512, 2**20):  # far past the end, too
        assert read(words.view(np.uint8), n_streams, ahead, n_threads) == total


def test_every_byte_is_filled() -> None:
    data = np.zeros(BLOCK * 2 * 3 * 5, np.uint8)
    for n_threads in (1, 2, 3):
        fill(data, n_threads, n_threads)
        assert (data == n_threads).all()


@pytest.mark.parametrize("n_bytes", [0, 1, BLOCK, 7 * BLOCK, 8 * BLOCK - 1])
def test_parts_of_blocks_are_refused(n_bytes: int) -> None:
    data = np.zeros(n_bytes, np.uint8)
    step = 8 * BLOCK
    with pytest.raises(ValueError, match=rf"multiple of {step} bytes, found {n_bytes}"):
        read(data, 4, 0, 2)


def test_what_a_level_multiplies(steps: Steps) -> None:
    bf16 = ("bf16",) if steps.has_bf16 else ()
    assert operands(steps.table) == ("f32", "int8", *bf16)


def test_operations_are_counted_and_done(level: Level) -> None:
    table = kernels.load(level.name).table
    for which in range(len(operands(table))):
        of_a_round = multiply(table, which, 1, 1)
        assert of_a_round > 0
        start = perf_counter()
        assert multiply(table, which, 500, 3) == 1500 * of_a_round
        # None were left out: no core does 100,000 in a nanosecond.
        assert 1500 * of_a_round < 1e14 * (perf_counter() - start)
        assert multiply(table, which, 0, 2) == 0


def test_operands_it_does_not_have() -> None:
    table = kernels.load("scalar").table
    for which in (-1, 2):
        with pytest.raises(ValueError, match="wanted one of .*'int8'.*, found"):
            multiply(table, which, 1, 1)
