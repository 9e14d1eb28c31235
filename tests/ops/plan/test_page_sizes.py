"""Plans on systems with pages of 4, 16 and 64 KiB: PCs, Macs, and some ARM servers."""

from __future__ import annotations

import errno
import mmap
from pathlib import Path

import numpy as np
import pytest

import llamacy
from llamacy.formats.gguf.file import open_gguf
from tests.support.forward_passes import logits

DEMO = Path(llamacy.__file__).parent / "model_files" / "demo.gguf"


class Memory(mmap.mmap):
    """Memory of such a system, which advises whole pages and notes what is dropped."""

    page = 4096
    dropped: list[int] = []

    def madvise(self, option: int, start: int = 0, length: int | None = None) -> None:
        if start % self.page:
            raise OSError(errno.EINVAL, "not at the beginning of a page")
        if length is None:
            length = len(self) - start
        if option == mmap.MADV_DONTNEED:
            self.dropped.append(length)
        super().madvise(option, start, length)


@pytest.mark.skipif(
    not hasattr(mmap, "MADV_DONTNEED"), reason="no advice about memory here"
)
@pytest.mark.parametrize("page", [4096, 16384, 65536])
def test_what_is_packed_and_computed_is_the_same(
    page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = logits(DEMO, "plan")
    with open_gguf(DEMO) as file:
        larger = [each for each in file.tensors.values() if each.n_bytes >= 2 * page]
    monkeypatch.setattr(mmap, "PAGESIZE", page)
    monkeypatch.setattr(mmap, "mmap", Memory)
    monkeypatch.setattr(Memory, "page", page)
    monkeypatch.setattr(Memory, "dropped", [])
    assert np.array_equal(logits(DEMO, "plan"), wanted)
    # a tensor of two pages contains one whole page, which is dropped once it is packed
    assert len(Memory.dropped) >= len(larger) > 0
    assert all(n_bytes % page == 0 for n_bytes in Memory.dropped)
