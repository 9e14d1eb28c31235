"""Memory of weights and of the KV cache."""

from __future__ import annotations

import gc
import weakref

import pytest

from llamacy.ops.memory import large_pages


@pytest.mark.parametrize("nbytes", [1, 4096, 3 * 2**20 + 5])
def test_zeros_that_may_be_written(nbytes: int) -> None:
    memory = large_pages(nbytes)
    assert memory.nbytes == nbytes
    assert memory.ctypes.data % 4096 == 0
    assert not memory.any()
    memory[:] = 7
    assert (memory == 7).all()


def test_a_slice_keeps_all_of_it() -> None:
    memory = large_pages(1 << 20)
    whole, part = weakref.ref(memory.base), memory[-10:]
    del memory
    gc.collect()
    assert whole() is not None
    part[:] = 1
    del part
    gc.collect()
    assert whole() is None


@pytest.mark.parametrize("nbytes", [2**62, 2**100])
def test_more_than_there_is(nbytes: int) -> None:
    with pytest.raises(MemoryError):
        large_pages(nbytes)
