"""The interface of an open model file, whatever its format.

Files of every format are presented as the GGUF file of the same model would be:
metadata under GGUF's keys, and tensors under GGUF's names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, Self

from llamacy.ggml.tensor import Tensor

SAMPLE_BYTES: Final = 4096  # of each tensor, for a fingerprint


class ModelTensor(Tensor, Protocol):
    """One tensor, described in `llamacy.formats.gguf.file.Tensor`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def n_bytes(self) -> int:
        """Size of all its blocks, in bytes."""

    def sample(self) -> bytes:
        """Return a few bytes that differ between models, for a fingerprint."""


class ModelFile(Protocol):
    """An open model, described in `llamacy.formats.gguf.file.GGUFFile`."""

    @property
    def path(self) -> Path:
        """The file or folder that was opened."""

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files that the model is read from."""

    @property
    def format(self) -> str:
        """The format's name."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Keys and values; they remain readable after `close`."""

    @property
    def value_types(self) -> dict[str, int]:
        """The values' types, as GGUF numbers them, by key."""

    @property
    def tensors(self) -> Mapping[str, ModelTensor]:
        """Tensors by name."""

    def fingerprint(self) -> str:
        """Return a digest that differs between models."""

    def close(self) -> None:
        """Unmap the weights."""

    def __enter__(self) -> Self:
        """Return the file itself."""

    def __exit__(self, *exception: object) -> None:
        """Close the file."""


def fingerprint(metadata: Mapping[str, Any], tensors: Iterable[ModelTensor]) -> str:
    """Return a digest of a model's settings and weights, to tell models apart.

    Only the first bytes of each tensor are read, so that the digest costs almost
    nothing beside loading; weights that were trained further differ there too.
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
