"""The safetensors files of a folder: a single one, or several listed by an index.

`model.safetensors` holds a whole model. Without it, `model.safetensors.index.json` maps
each tensor to a file of the folder.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Container, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, ModelFileError
from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.gguf.file import Tensor
from llamacy.formats.json_text import read_json
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.model_file import SAMPLE_BYTES
from llamacy.formats.safetensors.file import DOUBLES, Stored, read_stored
from llamacy.ggml.types import GGMLType
from llamacy.printable import shown

SINGLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
MAX_FILES: Final = 1 << 10

_logger = logging.getLogger("llamacy")


class ByteTensor:
    """A tensor of raw bytes: weights in a format of their own, or no weights at all.

    Attributes
    ----------
    name : str
        Name in the file.
    dtype : str
        Its type, `"U8"` for bytes.
    shape : tuple of int
        Sizes, slowest first.
    n_bytes : int
        Number of bytes.
    """

    def __init__(self, file: MappedFile, stored: Stored) -> None:
        self.name = stored.name
        self.dtype = stored.dtype
        self.shape = stored.shape
        self.n_bytes = stored.n_bytes
        self._file = file
        self._offset = stored.offset

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes: uint8, of `shape` for `"U8"`, read-only, not copied.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        return self.raw.reshape(self.shape)

    @property
    def raw(self) -> NDArray[np.uint8]:
        """The bytes in a row: uint8, (n_bytes,), read-only, not copied."""
        return self._file.view(self._offset, self.n_bytes)

    def release(self) -> None:
        """Drop its pages from memory; the next access reads them again."""
        self._file.release(self._offset, self.n_bytes)


class DoubleTensor(DerivedTensor):
    """A tensor of float64, read as float32.

    Parameters
    ----------
    file : MappedFile
        The file.
    stored : Stored
        The tensor in it.
    """

    def __init__(self, file: MappedFile, stored: Stored) -> None:
        self._bytes = ByteTensor(file, stored)
        super().__init__(stored.name, GGMLType.F32, stored.shape, [self._bytes])

    @property
    def data(self) -> NDArray[np.uint8]:
        """The values in float32: uint8, (n_bytes,), a fresh array."""
        doubles = self._bytes.raw.view("<f8")
        with np.errstate(over="ignore"):
            return doubles.astype("<f4").view(np.uint8)

    def sample(self) -> bytes:
        """Return the first bytes as they are in the file, for a fingerprint."""
        return self._bytes.raw[:SAMPLE_BYTES].tobytes()


Floats: TypeAlias = Tensor | DerivedTensor
"""A tensor of weights: one of the file, or computed from some."""


class SafetensorsFolder:
    """The open files of a folder, as `open_safetensors` returns them.

    Attributes
    ----------
    paths : tuple of Path
        The files.
    tensors : Mapping of str to Tensor or DerivedTensor
        Tensors of weights by name, file after file, in the order of their bytes.
    bytes : Mapping of str to ByteTensor
        Tensors of all other types, likewise.
    """

    def __init__(
        self,
        files: list[MappedFile],
        tensors: Mapping[str, Floats],
        bytes: Mapping[str, ByteTensor],
    ) -> None:
        self.paths = tuple(file.path for file in files)
        self.tensors = tensors
        self.bytes = bytes
        self._files = files

    def close(self) -> None:
        """Unmap the files; arrays already taken from tensors stay valid."""
        for file in self._files:
            file.close()


def open_safetensors(folder: Path) -> SafetensorsFolder:
    """Open a folder's files.

    Raises
    ------
    ModelFileError
        A file is missing, or cannot be read.
    FormatError
        A file is broken, or has a tensor that the index puts elsewhere.
    UnsupportedError
        A tensor's type is not supported.
    """
    places: Mapping[str, str] = {}
    if os.path.lexists(folder / SINGLE):
        names = [SINGLE]
    elif os.path.lexists(folder / INDEX):
        places = read_index(folder / INDEX)
        names = sorted(set(places.values()))
    else:
        raise ModelFileError(
            errno.ENOENT, f"no {SINGLE} or {INDEX} in the folder", str(folder)
        )
    _check_there(folder, names)
    with ExitStack() as opened:
        files: list[MappedFile] = []
        found: dict[str, Floats | ByteTensor] = {}
        strays: dict[str, Path] = {}
        for name in names:
            file = MappedFile(folder / name)
            opened.callback(file.close)
            files.append(file)
            for stored in read_stored(file):
                if places.get(stored.name, name) != name:
                    strays[stored.name] = file.path
                elif stored.name in found:
                    field, wanted = f"tensor {shown(stored.name)}", "one in all files"
                    raise FormatError(file.path, field, wanted, "another")
                else:
                    found[stored.name] = _opened(file, stored)
        _check_found(folder, places, found, strays)
        model = SafetensorsFolder(
            files,
            {n: each for n, each in found.items() if not isinstance(each, ByteTensor)},
            {n: each for n, each in found.items() if isinstance(each, ByteTensor)},
        )
        opened.pop_all()
    return model


def _opened(file: MappedFile, stored: Stored) -> Floats | ByteTensor:
    is_weight = stored.shape and 0 not in stored.shape
    if is_weight and (info := stored.info) is not None:
        return Tensor(file, info)
    if is_weight and stored.dtype == DOUBLES:
        return DoubleTensor(file, stored)
    return ByteTensor(file, stored)


def _check_found(
    folder: Path,
    places: Mapping[str, str],
    found: Container[str],
    strays: Mapping[str, Path],
) -> None:
    """Check that tensors are where the index puts them, or in no file at all.

    The index of a model whose embeddings are tied may list its output matrix still;
    whether a tensor is missing is for the reader of the folder to say.
    """
    missing = [name for name in places if name not in found]
    for name in missing:
        if name in strays:
            other = "a tensor that the index puts elsewhere"
            field = f"tensor {shown(name)}"
            raise FormatError(strays[name], field, "one of this file", other)
    if missing:
        _logger.info(
            "%s: %d tensors that the index lists are in no file, the first %s",
            folder,
            len(missing),
            shown(missing[0]),
        )


def read_index(path: Path) -> dict[str, str]:
    """Return the file name of each tensor, by the tensor's name.

    Raises
    ------
    ModelFileError
        The index cannot be read.
    FormatError
        The index is broken, or names a file outside its folder.
    """
    places = read_json(path).child("weight_map")
    if places is None or not places.values:
        raise FormatError(path, "weight_map", "the names of tensors", "none")
    for name, file in places.values.items():
        # reject separators of all systems: a name must not lead out of the folder
        is_plain = isinstance(file, str) and not set(file) & set('/\\:\0"')
        if not is_plain or not file.endswith(".safetensors"):
            wanted = "the name of a safetensors file in the folder"
            raise FormatError(path, f"weight_map: {shown(name)}", wanted, shown(file))
    if len(set(places.values.values())) > MAX_FILES:
        found = len(set(places.values.values()))
        raise FormatError(path, "weight_map", f"at most {MAX_FILES} files", found)
    return places.values


def _check_there(folder: Path, names: list[str]) -> None:
    """Check for all files before opening any, so that the error can list them."""
    missing = [name for name in names if not os.path.exists(folder / name)]
    if missing:
        which = ", ".join(missing[:4]) + (", …" if len(missing) > 4 else "")
        raise ModelFileError(
            errno.ENOENT,
            f"{len(missing)} of {len(names)} files of the model are missing: {which}",
            str(folder / missing[0]),
        )
