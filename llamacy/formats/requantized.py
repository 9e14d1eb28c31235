"""A model file with its weights in another type, quantised on access.

Only a few rows of one tensor are in memory as float32 at a time.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.metadata import UINT32
from llamacy.formats.model_file import ModelFile, ModelTensor, fingerprint
from llamacy.formats.recipes import model_shape, tensor_type
from llamacy.ggml.file_types import FileType
from llamacy.ggml.quantization import quantize
from llamacy.ggml.types import QUANTIZATION_VERSION, GGMLType, dequantize

_CHUNK: Final = 1 << 20  # weights that a thread converts at a time

_logger = logging.getLogger("llamacy")


class RequantizedTensor(DerivedTensor):
    """A tensor in another type.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    source : ModelTensor
        The original tensor.
    new_type : GGMLType
        The type to convert to.
    path : Path
        The file of the original, for errors.
    threads : ThreadPoolExecutor
        The threads that convert.
    """

    def __init__(
        self,
        source: ModelTensor,
        new_type: GGMLType,
        path: Path,
        threads: ThreadPoolExecutor,
    ) -> None:
        super().__init__(source.name, new_type, source.shape, [source])
        self._source = source
        self._path = path
        self._threads = threads

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, row after row: uint8, (n_bytes,), a fresh array.

        Raises
        ------
        FormatError
            The type cannot represent a weight.
        """
        result = np.empty(self.n_bytes, np.uint8)
        for _ in self.fill(result):
            pass
        return result

    def fill(self, result: NDArray[np.uint8]) -> Iterator[int]:
        """Write the blocks to `result`, a few rows at a time.

        Parameters
        ----------
        result : uint8, (n_bytes,)
            Receives the blocks.

        Yields
        ------
        int
            The number of weights just converted.

        Raises
        ------
        FormatError
            The type cannot represent a weight.
        """
        old = self._source
        n_in, n_rows = old.shape[-1], math.prod(old.shape[:-1])
        rows, new_rows = old.data.reshape(n_rows, -1), result.reshape(n_rows, -1)
        step = max(1, _CHUNK // n_in)

        def convert(first: int) -> int:
            part = rows[first : first + step]
            weights = dequantize(part.reshape(-1), old.type, (len(part), n_in))
            try:
                blocks = quantize(weights, self.type)
            except ArgumentError as error:
                raise self._bad_weights(weights) from error
            new_rows[first : first + step] = blocks.reshape(len(part), -1)
            return weights.size

        yield from self._threads.map(convert, range(0, n_rows, step))

    def sample(self) -> bytes:
        """Return the first bytes of the original, for a fingerprint."""
        return self._source.sample()

    def _bad_weights(self, weights: NDArray[np.float32]) -> FormatError:
        """Return the error that names this tensor and its largest weight."""
        magnitude = float(np.abs(weights).max())
        return FormatError(
            self._path,
            f"tensor {self.name}",
            f"finite weights within the range of {self.type.name}",
            f"{magnitude:g}" if math.isfinite(magnitude) else "NaN or infinity",
        )


class RequantizedFile:
    """A model file with its weights converted to another file type.

    The attributes are those of `llamacy.formats.gguf.file.GGUFFile`. Metadata stay the
    same, except for the file type and the quantisation version.

    Parameters
    ----------
    file : ModelFile
        The original, which must stay open; `close` does not close it.
    file_type : FileType
        Decides the type of each tensor.
    n_threads : int
        Number of threads that convert.
    tensors : Mapping of str to ModelTensor, optional
        The tensors to convert; by default those of `file`.
    kept : collection of str
        Names of tensors that stay as they are.
    """

    def __init__(
        self,
        file: ModelFile,
        file_type: FileType,
        n_threads: int,
        tensors: Mapping[str, ModelTensor] | None = None,
        *,
        kept: Collection[str] = (),
    ) -> None:
        self.path = file.path
        self.paths = file.paths
        self.format = file.format
        self._threads = ThreadPoolExecutor(n_threads)
        sources = file.tensors if tensors is None else tensors
        self.tensors = self._converted(file, file_type, sources, kept)
        changed = {
            "general.file_type": file_type.number,
            "general.quantization_version": QUANTIZATION_VERSION,
        }
        self.metadata: dict[str, Any] = file.metadata | changed
        self.value_types = file.value_types | dict.fromkeys(changed, UINT32)

    def _converted(
        self,
        file: ModelFile,
        file_type: FileType,
        sources: Mapping[str, ModelTensor],
        kept: Collection[str],
    ) -> Mapping[str, ModelTensor]:
        """Choose every tensor's type; log a warning if any was quantised before."""
        model = model_shape(file.metadata, sources)
        tensors: dict[str, ModelTensor] = {}
        n_again = 0
        for name, old in sources.items():
            new_type = tensor_type(file_type, model, name, old.shape, old.type)
            if new_type == old.type or name in kept:
                tensors[name] = old
                continue
            tensors[name] = RequantizedTensor(old, new_type, file.path, self._threads)
            n_again += old.type.block_size > 1
        if n_again:
            _logger.warning(
                "%s: %d of %d tensors were quantised before; a model made from float "
                "weights is better",
                file.path,
                n_again,
                len(tensors),
            )
        return tensors

    def fingerprint(self) -> str:
        """Return a digest that differs between models and between types of one."""
        return fingerprint(self.metadata, self.tensors.values())

    def close(self) -> None:
        """Shut the threads down."""
        self._threads.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
