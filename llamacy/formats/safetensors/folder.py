"""The safetensors files of a folder: a single one, or several listed by an index.

`model.safetensors` holds a whole model. Without it, `model.safetensors.index.json` maps
each tensor to a file of the folder.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, ModelFileError, shown
from llamacy.formats.gguf.file import Tensor
from llamacy.formats.json_text import read_json
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.safetensors.file import Stored, read_stored

SINGLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
MAX_FILES: Final = 1 << 10


class ByteTensor:
    """A tensor of raw bytes, which encode weights in a format of their own.

    Attributes
    ----------
    name : str
        Name in the file.
    shape : tuple of int
        Sizes, slowest first.
    n_bytes : int
        Number of bytes.
    """

    def __init__(self, file: MappedFile, stored: Stored) -> None:
        self.name = stored.name
        self.shape = stored.shape
        self.n_bytes = stored.n_bytes
        self._file = file
        self._offset = stored.offset

    @property
    def data(self) -> NDArray[np.uint8]:
        """The bytes: uint8, of `shape`, read-only, not copied.

        Raises
        ------
        ClosedError
            The file was closed.
        """
        return self._file.view(self._offset, self.n_bytes).reshape(self.shape)

    def release(self) -> None:
        """Drop its pages from memory; the next access reads them again."""
        self._file.release(self._offset, self.n_bytes)


class SafetensorsFolder:
    """The open files of a folder, as `open_safetensors` returns them.

    Attributes
    ----------
    paths : tuple of Path
        The files.
    tensors : Mapping of str to Tensor
        Tensors of weights by name, file after file, in the order of their bytes.
    bytes : Mapping of str to ByteTensor
        Tensors of raw bytes, likewise.
    """

    def __init__(
        self,
        files: list[MappedFile],
        tensors: Mapping[str, Tensor],
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
        A file is broken, or its tensors are not those that the index lists.
    UnsupportedError
        A tensor's type is not supported.
    """
    if os.path.lexists(folder / SINGLE):
        places = None
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
        tensors: dict[str, Tensor] = {}
        others: dict[str, ByteTensor] = {}
        for name in names:
            file = MappedFile(folder / name)
            opened.callback(file.close)
            files.append(file)
            for stored in read_stored(file):
                if places is not None and places.get(stored.name) != name:
                    found = "a tensor that the index puts elsewhere, or nowhere"
                    field = f"tensor {shown(stored.name)}"
                    raise FormatError(file.path, field, "one of this file", found)
                if (info := stored.info) is not None:
                    tensors[stored.name] = Tensor(file, info)
                else:
                    others[stored.name] = ByteTensor(file, stored)
        for missing in (places or {}).keys() - tensors.keys() - others.keys():
            path = folder / (places or {})[missing]
            found = "no such tensor, though the index says so"
            raise FormatError(path, "header", f"tensor {shown(missing)}", found)
        model = SafetensorsFolder(files, tensors, others)
        opened.pop_all()
    return model


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
