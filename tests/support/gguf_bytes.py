"""GGUF files written byte by byte, and the bounds within which they are refused."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf

U32, STRING, ARRAY = 4, 8, 9
SECONDS = 5  # of this thread; a file that takes this long hangs
MEBIBYTES = 16  # allocated at most while a small file is opened


def u32(value: int) -> bytes:
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    return struct.pack("<Q", value)


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return u64(len(raw)) + raw


def key(name: str | bytes, kind: int, payload: bytes) -> bytes:
    return text(name) + u32(kind) + payload


def tensor(
    name: str | bytes = "t",
    sizes: tuple[int, ...] = (32,),
    type_id: int = 0,
    offset: int = 0,
) -> bytes:
    """Return an entry of the tensor list: by default F32, 32 weights at offset 0."""
    dims = b"".join(map(u64, sizes))
    return text(name) + u32(len(sizes)) + dims + u32(type_id) + u64(offset)


@dataclass
class Raw:
    """A file written byte by byte."""

    magic: bytes = b"GGUF"
    version: int = 3
    keys: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=lambda: [tensor()])
    n_keys: int | None = None
    n_tensors: int | None = None
    data: bytes = bytes(256)

    def build(self) -> bytes:
        n_tensors = len(self.tensors) if self.n_tensors is None else self.n_tensors
        n_keys = len(self.keys) if self.n_keys is None else self.n_keys
        head = self.magic + u32(self.version) + u64(n_tensors) + u64(n_keys)
        head += b"".join(self.keys) + b"".join(self.tensors)
        return head + bytes(-len(head) % 32) + self.data


@contextmanager
def bounded() -> Iterator[None]:
    """Fail if the block takes too long or allocates too much."""
    start = time.thread_time()
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert time.thread_time() - start < SECONDS
    assert peak < MEBIBYTES << 20


def refused(path: Path, content: bytes) -> FormatError:
    path.write_bytes(content)
    with bounded(), pytest.raises(FormatError) as caught:
        open_gguf(path)
    assert caught.value.path == str(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 500
    return caught.value
