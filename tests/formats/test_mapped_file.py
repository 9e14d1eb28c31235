"""Mapped files, on systems with pages of every size."""

from __future__ import annotations

import errno
import mmap
from pathlib import Path

import numpy as np
import pytest

from llamacy.formats.mapped_file import MappedFile

SIZE = 5 * 65536 + 123


class Recorder(mmap.mmap):
    """A mapping that notes the ranges of advice, and may refuse it."""

    advised: list[tuple[int, int]] = []
    refuses = False

    def madvise(self, option: int, *place: int) -> None:
        if self.refuses:
            raise OSError(errno.EINVAL, "no such advice")
        start, length = place
        self.advised.append((start, length))
        super().madvise(option, start, length)


@pytest.fixture(params=[4096, 16384, 65536])
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Size of a page, as the system says."""
    size: int = request.param
    monkeypatch.setattr(mmap, "PAGESIZE", size)
    monkeypatch.setattr(mmap, "mmap", Recorder)
    monkeypatch.setattr(Recorder, "advised", [])
    return size


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of five and a bit of the largest pages."""
    file = tmp_path / "file"
    file.write_bytes(np.arange(SIZE, dtype=np.uint32).astype(np.uint8).tobytes())
    return file


needs_advice = pytest.mark.skipif(
    not hasattr(mmap, "MADV_DONTNEED"), reason="no advice about memory here"
)


@needs_advice
@pytest.mark.parametrize("offset", [0, 1, 65535, 65536])
@pytest.mark.parametrize("n_bytes", [0, 100, 16384, 3 * 65536 + 1])
def test_whole_pages_inside_a_range_are_released(
    page: int, path: Path, offset: int, n_bytes: int
) -> None:
    file = MappedFile(path)
    before = file.view(0, SIZE).copy()
    file.release(offset, n_bytes)
    inside = {
        start
        for start in range(0, SIZE, page)
        if offset <= start and start + page <= offset + n_bytes
    }
    released = {
        start + i for start, length in Recorder.advised for i in range(0, length, page)
    }
    assert released == inside
    assert all(start % page == length % page == 0 for start, length in Recorder.advised)
    assert (file.view(0, SIZE) == before).all()


@needs_advice
def test_a_system_that_takes_no_advice(
    page: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Recorder, "refuses", True)
    file = MappedFile(path)
    file.release(0, SIZE)
    assert file.view(0, SIZE).shape == (SIZE,)
