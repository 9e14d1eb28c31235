"""A model file with its weights in another type, quantised on access."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.imatrix.matrix import ImportanceMatrix
from llamacy.formats.metadata import Metadata
from llamacy.formats.model_file import ModelFile, ModelTensor, fingerprint
from llamacy.formats.recipes import EMBEDDINGS, model_shape, needs_imatrix
from llamacy.formats.requantized_tensor import RequantizedTensor
from llamacy.formats.type_choice import TypeChoice
from llamacy.ggml.file_types import FileType
from llamacy.ggml.types import QUANTIZATION_VERSION, GGMLType

_RECIPE: Final = TypeChoice()

_logger = logging.getLogger("llamacy")


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
    choice : TypeChoice
        Types that go before those of `file_type`.
    imatrix : ImportanceMatrix, optional
        Which columns matter.
    is_checked : bool
        Whether types that need an importance matrix are refused without one.

    Attributes
    ----------
    lacks_imatrix : bool
        Whether a tensor's type needs to know which weights matter, and that is not
        known.

    Raises
    ------
    ArgumentError
        A tensor's type needs to know which weights matter, and that is not known.
    FormatError
        The importance matrix is of another model.
    """

    def __init__(
        self,
        file: ModelFile,
        file_type: FileType,
        n_threads: int,
        tensors: Mapping[str, ModelTensor] | None = None,
        *,
        kept: Collection[str] = (),
        choice: TypeChoice = _RECIPE,
        imatrix: ImportanceMatrix | None = None,
        is_checked: bool = True,
    ) -> None:
        self.path = file.path
        self.paths = file.paths
        self.format = file.format
        self._threads = ThreadPoolExecutor(n_threads)
        self._file_type = file_type
        self._imatrix = imatrix
        self._is_checked = is_checked
        self.lacks_imatrix = False
        sources = file.tensors if tensors is None else tensors
        self.tensors = self._converted(file, choice, sources, kept)
        changed = Metadata()
        changed.integer("general.file_type", file_type.number)
        changed.integer("general.quantization_version", QUANTIZATION_VERSION)
        if imatrix is not None:
            changed.update(_described(imatrix))
        self.metadata: dict[str, Any] = file.metadata | changed.values
        self.value_types = file.value_types | changed.types

    def _converted(
        self,
        file: ModelFile,
        choice: TypeChoice,
        sources: Mapping[str, ModelTensor],
        kept: Collection[str],
    ) -> Mapping[str, ModelTensor]:
        """Choose every tensor's type; log a warning if any was quantised before."""
        model = model_shape(file.metadata, sources)
        has_imatrix = self._imatrix is not None
        tensors: dict[str, ModelTensor] = {}
        n_again = 0
        for name, old in sources.items():
            new_type = choice.type_of(
                self._file_type, model, name, old.shape, old.type,
                has_imatrix=has_imatrix,
            )  # fmt: skip
            if new_type == old.type or name in kept:
                tensors[name] = old
                continue
            importance = self._importance(name, old.shape, new_type)
            tensors[name] = RequantizedTensor(
                old, new_type, file.path, self._threads, importance
            )
            n_again += old.type.block_size > 1
        self._check_weighed(tensors.values())
        for pattern in choice.unused({name: t.shape for name, t in sources.items()}):
            _logger.warning(
                "%s: tensor_types: no matrix has %r in its name", file.path, pattern
            )
        if n_again:
            _logger.warning(
                "%s: %d of %d tensors were quantised before; a model made from float "
                "weights is better",
                file.path,
                n_again,
                len(tensors),
            )
        return tensors

    def _importance(
        self, name: str, shape: tuple[int, ...], new_type: GGMLType
    ) -> NDArray[np.float32] | None:
        """Return what is known of a matrix's columns.

        Raises
        ------
        ArgumentError
            Nothing is known, and the type needs it.
        FormatError
            The sizes are those of another model.
        """
        found = None
        if self._imatrix is not None:
            try:
                found = self._imatrix.importance(name, shape)
            except FormatError:
                if name not in EMBEDDINGS:  # which is read by row, not by column
                    raise
        needs = found is None and needs_imatrix(self._file_type, name, new_type)
        self.lacks_imatrix |= needs
        if needs and self._is_checked:
            wanted = "wanted an importance matrix"
            if self._imatrix is not None:
                wanted += f" with an entry for {name}"
            raise ArgumentError(
                f"imatrix: {wanted}, as in {new_type.name} the weights of {name} are "
                "garbage unless it is known which of them matter"
            )
        return found

    def _check_weighed(self, tensors: Iterable[ModelTensor]) -> None:
        """Refuse an importance matrix that has none of the tensors that change."""
        changed = [each for each in tensors if isinstance(each, RequantizedTensor)]
        if self._imatrix is None or not changed:
            return
        if not any(each.is_weighed for each in changed):
            raise FormatError(
                self._imatrix.path or "importance matrix",
                "matrices",
                "those of the model",
                next(iter(self._imatrix.entries), "none"),
            )

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


def _described(imatrix: ImportanceMatrix) -> Metadata:
    """Return the keys in which llama.cpp notes the matrix; of paths only the names."""
    keys = Metadata()
    keys.text("quantize.imatrix.file", os.path.basename(imatrix.path))
    if imatrix.datasets:
        keys.text("quantize.imatrix.dataset", os.path.basename(imatrix.datasets[0]))
    keys.integer("quantize.imatrix.entries_count", len(imatrix.entries))
    if imatrix.n_chunks:
        keys.integer("quantize.imatrix.chunks_count", imatrix.n_chunks)
    return keys
