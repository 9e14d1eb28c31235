"""What a model's file is to those that load it, whatever format it is in.

A GGUF file is one, and what other formats are presented as: metadata under GGUF's
keys, and tensors under GGUF's names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from llamacy.ggml.types import GGMLType

SAMPLE_BYTES: Final = 4096  # of a tensor, in a fingerprint


class ModelTensor(Protocol):
    """One tensor, described in :class:`llamacy.formats.gguf.file.Tensor`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def type(self) -> GGMLType:
        """What its blocks are."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes, slowest first."""

    @property
    def n_bytes(self) -> int:
        """Bytes of all its blocks."""

    @property
    def data(self) -> NDArray[np.uint8]:
        """Its blocks."""

    def sample(self) -> bytes:
        """Return some bytes that another model would not have."""

    def dequantize(self) -> NDArray[np.float32]:
        """Its values."""

    def release(self) -> None:
        """Take its pages out of memory."""


class ModelFile(Protocol):
    """An open model, described in :class:`llamacy.formats.gguf.file.GGUFFile`."""

    @property
    def path(self) -> Path:
        """What was opened."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that are read."""

    @property
    def format(self) -> str:
        """The format's name."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Keys and values, which stay when it is closed."""

    @property
    def value_types(self) -> dict[str, int]:
        """The types of the values."""

    @property
    def tensors(self) -> Mapping[str, ModelTensor]:
        """Tensors by name."""

    def fingerprint(self) -> str:
        """Tell this model from others."""

    def close(self) -> None:
        """Unmap the weights."""

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *exception: object) -> None:
        """Close it."""


def fingerprint(metadata: Mapping[str, Any], tensors: Iterable[ModelTensor]) -> str:
    """Tell a model from others: a digest of its settings and weights.

    Of each tensor only the beginning is looked at, so that it costs nothing beside
    loading; weights that were trained further differ there too.
    """
    digest = hashlib.blake2b(digest_size=16)
    for key, value in metadata.items():
        if isinstance(value, bool | int | float | str):
            digest.update(f"{key}={value!r};".encode(errors="replace"))
    for tensor in tensors:
        head = f"{tensor.name}:{tensor.type.name}{tensor.shape};"
        digest.update(head.encode(errors="replace"))
        digest.update(tensor.sample())
    return digest.hexdigest()
