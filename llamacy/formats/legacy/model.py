"""Presents a model of the old formats as a GGUF file."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.legacy.file import LegacyFile
from llamacy.formats.legacy.metadata import new_metadata, new_names
from llamacy.formats.legacy.tensor import LegacyTensor
from llamacy.formats.model_file import SAMPLE_BYTES, fingerprint

DEFAULT_CTX: Final = 2048
DEFAULT_EPS: Final = 5e-6

_logger = logging.getLogger("llamacy")


class RenamedTensor(DerivedTensor):
    """A tensor under GGUF's name, in the current layout.

    The other attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Attributes
    ----------
    n_rounded : int
        Number of scales that were rounded to float16; 0 before the first access to
        `data`.
    """

    def __init__(self, name: str, source: LegacyTensor) -> None:
        # nothing to release: computing `data` releases the source's pages
        super().__init__(name, source.type, source.shape, sources=())
        self.n_rounded = 0
        self._source = source

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks in the current layout, row after row: uint8, (n_bytes,), fresh.

        Raises
        ------
        FormatError
            A scale is NaN, or beyond the range of float16.
        """
        blocks, self.n_rounded = self._source.blocks()
        return blocks

    def sample(self) -> bytes:
        """Return the first bytes, for a fingerprint."""
        return self.data[:SAMPLE_BYTES].tobytes()


class LegacyModel:
    """An open model, as `open_legacy` returns it.

    The attributes are those of `llamacy.formats.gguf.file.GGUFFile`.
    """

    def __init__(
        self, file: LegacyFile, metadata: dict[str, Any], value_types: dict[str, int]
    ) -> None:
        names = new_names(file)
        self.path: Path = file.paths[0]
        self.paths = file.paths
        self.format = file.version.name
        self.metadata = metadata
        self.value_types = value_types
        self.tensors: Mapping[str, RenamedTensor] = {
            names[old]: RenamedTensor(names[old], tensor)
            for old, tensor in file.tensors.items()
        }
        self._file = file

    @property
    def n_rounded(self) -> int:
        """Number of scales that were rounded, in the tensors accessed so far."""
        return sum(tensor.n_rounded for tensor in self.tensors.values())

    def fingerprint(self) -> str:
        """Return a digest of settings and weights, which differs between models."""
        return fingerprint(self.metadata, self.tensors.values())

    def close(self) -> None:
        """Unmap the files."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def open_legacy(
    path: str | os.PathLike[str],
    *,
    n_ctx: int = DEFAULT_CTX,
    eps: float = DEFAULT_EPS,
    gqa: int | None = None,
) -> LegacyModel:
    """Open a ggml, ggmf or ggjt model.

    Parameters
    ----------
    path : str or os.PathLike
        The file, or the first of several.
    n_ctx : int
        Length of the context that the model was trained for, in tokens. The files do
        not state it; the default is that of llama.cpp's converter.
    eps : float
        Epsilon of the norms. The files do not state it; the default is that of
        llama.cpp's converter, between LLaMA's 1e-6 and LLaMA 2's 1e-5.
    gqa : int, optional
        Query heads per KV head; by default derived from the key matrix.

    Raises
    ------
    ModelFileError
        A file cannot be read, or a part is missing.
    FormatError
        A file is broken, or the parts contradict each other.
    UnsupportedError
        The model is not LLaMA, or a tensor's type is not supported.
    ArgumentError
        `gqa` contradicts the key matrix.
    """
    file = LegacyFile(path)
    try:
        metadata, value_types = new_metadata(
            file, name=Path(path).stem, n_ctx=n_ctx, eps=eps, gqa=gqa
        )
        model = LegacyModel(file, metadata, value_types)
    except BaseException:
        file.close()
        raise
    if not file.scores:
        text = "%s: has no token scores; using those of LLaMA's vocabulary"
        _logger.warning(text, path)
    return model
