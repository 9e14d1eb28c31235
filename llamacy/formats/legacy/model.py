"""An old file, presented as the GGUF file of the same model would be."""

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
    """A tensor under the name GGUF has for it.

    The attributes are those of :class:`~llamacy.formats.gguf.file.Tensor`.

    Attributes
    ----------
    n_rounded : scales that had to be rounded, once `data` was asked for.
    """

    def __init__(self, name: str, source: LegacyTensor) -> None:
        # none to release: its pages go when `data` is made
        super().__init__(name, source.type, source.shape, sources=())
        self.n_rounded = 0
        self._source = source

    @property
    def data(self) -> NDArray[np.uint8]:
        """Today's blocks, row after row: uint8, (n_bytes,), made anew.

        Raises
        ------
        FormatError : scales are beyond float16, or no numbers.
        """
        blocks, self.n_rounded = self._source.blocks()
        return blocks

    def sample(self) -> bytes:
        """Return some bytes that another model would not have."""
        return self.data[:SAMPLE_BYTES].tobytes()


class LegacyModel:
    """An open model; made by :func:`open_legacy`.

    The attributes are those of :class:`~llamacy.formats.gguf.file.GGUFFile`.
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
        """Scales that had to be rounded, in the tensors asked for so far."""
        return sum(tensor.n_rounded for tensor in self.tensors.values())

    def fingerprint(self) -> str:
        """Tell this model from others: a digest of its settings and weights."""
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
    """Open a ``ggml``, ``ggmf`` or ``ggjt`` file; of several, the first.

    Parameters
    ----------
    n_ctx, eps, gqa : what such files do not say, see `new_metadata`. The defaults are
        those of llama.cpp's converter: 2048 tokens and 5e-6, which lies between
        LLaMA's 1e-6 and LLaMA 2's 1e-5.

    Raises
    ------
    ModelFileError : a file cannot be read, or a part is missing.
    FormatError : a file is broken, or does not go with another.
    UnsupportedError : no LLaMA, or tensors of a type that is gone.
    ArgumentError : `gqa` is not what the tensors say.
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
        text = "%s: has no scores of tokens; those of LLaMA's vocabulary are taken"
        _logger.warning(text, path)
    return model
