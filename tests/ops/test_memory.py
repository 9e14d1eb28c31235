"""Memory of weights and of the KV cache."""

from __future__ import annotations

import errno
import gc
import mmap
import weakref

import numpy as np
import pytest

from llamacy.errors import OutOfMemoryError
from llamacy.ops.memory import large_pages, zeros


@pytest.mark.parametrize("nbytes", [1, 4096, 3 * 2**20 + 5])
def test_zeros_that_may_be_written(nbytes: int) -> None:
    memory = large_pages(nbytes)
    assert memory.nbytes == nbytes
    assert memory.ctypes.data % 4096 == 0
    assert not memory.any()
    memory[:] = 7
    assert (memory == 7).all()


@pytest.mark.skipif(
    not hasattr(mmap, "MADV_HUGEPAGE"), reason="no large pages to ask for"
)
def test_a_system_without_large_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(mmap.mmap):
        def madvise(self, option: int, *place: int) -> None:
            raise OSError(errno.EINVAL, "built without CONFIG_TRANSPARENT_HUGEPAGE")

    monkeypatch.setattr(mmap, "mmap", Plain)
    memory = large_pages(1 << 16)
    assert isinstance(memory.base, memoryview | Plain)
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


@pytest.mark.parametrize("shape", [(3, 4), (512, 2048)])
def test_a_buffer_begins_with_a_cache_line(shape: tuple[int, ...]) -> None:
    for buffer in (zeros(shape, np.float32), zeros(shape, "uint8")):
        assert (buffer.shape, buffer.ctypes.data % 64) == (shape, 0)
        assert not buffer.any()
        buffer[:] = 1


def test_a_buffer_there_is_no_memory_for() -> None:
    with pytest.raises(OutOfMemoryError, match="buffer of \\(1048576, 1048576\\)"):
        zeros((1 << 20, 1 << 20), np.float32)
