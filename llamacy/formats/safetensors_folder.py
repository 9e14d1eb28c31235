"""The safetensors files of a folder: one, or several that an index lists.

`model.safetensors` holds a whole model; otherwise `model.safetensors.index.json` says
in which file beside it each tensor is.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from llamacy.errors import FormatError, ModelFileError
from llamacy.formats.cursor import shown
from llamacy.formats.gguf import Tensor
from llamacy.formats.json_text import read_json
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.safetensors import read_header

SINGLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
MAX_FILES: Final = 1 << 10


class SafetensorsFolder:
    """The open files of a folder; made by :func:`open_safetensors`.

    Attributes
    ----------
    paths : the files.
    tensors : by name, file after file, in the order of their bytes.
    """

    def __init__(self, files: list[MappedFile], tensors: Mapping[str, Tensor]) -> None:
        self.paths = tuple(file.path for file in files)
        self.tensors = tensors
        self._files = files

    def close(self) -> None:
        """Unmap the files; arrays already taken from tensors stay valid."""
        for file in self._files:
            file.close()


def open_safetensors(folder: Path) -> SafetensorsFolder:
    """Open a folder's files.

    Raises
    ------
    ModelFileError : one is missing, or cannot be read.
    FormatError : one is broken, or they are not what the index says.
    UnsupportedError : a tensor is of a type not read here.
    """
    if os.path.lexists(folder / SINGLE):
        places = None
        names = [SINGLE]
    elif os.path.lexists(folder / INDEX):
        places = _read_index(folder / INDEX)
        names = sorted(set(places.values()))
    else:
        raise ModelFileError(
            errno.ENOENT, f"no {SINGLE} or {INDEX} in the folder", str(folder)
        )
    _check_there(folder, names)
    with ExitStack() as opened:
        files: list[MappedFile] = []
        tensors: dict[str, Tensor] = {}
        for name in names:
            file = MappedFile(folder / name)
            opened.callback(file.close)
            files.append(file)
            for info in read_header(file):
                if places is not None and places.get(info.name) != name:
                    found = "a tensor that the index puts elsewhere, or nowhere"
                    field = f"tensor {shown(info.name)}"
                    raise FormatError(file.path, field, "one of this file", found)
                tensors[info.name] = Tensor(file, info)
        for missing in (places or {}).keys() - tensors.keys():
            path = folder / (places or {})[missing]
            found = "no such tensor, though the index says so"
            raise FormatError(path, "header", f"tensor {shown(missing)}", found)
        model = SafetensorsFolder(files, tensors)
        opened.pop_all()
    return model


def _read_index(path: Path) -> dict[str, str]:
    """Read which file each tensor is in."""
    places = read_json(path).child("weight_map")
    if places is None or not places.values:
        raise FormatError(path, "weight_map", "the names of tensors", "none")
    for name, file in places.values.items():
        # Nothing that leads out of the folder, in the syntax of any system.
        is_plain = isinstance(file, str) and not set(file) & set('/\\:\0"')
        if not is_plain or not file.endswith(".safetensors"):
            wanted = "the name of a safetensors file in the folder"
            raise FormatError(path, f"weight_map: {shown(name)}", wanted, shown(file))
    if len(set(places.values.values())) > MAX_FILES:
        found = len(set(places.values.values()))
        raise FormatError(path, "weight_map", f"at most {MAX_FILES} files", found)
    return places.values


def _check_there(folder: Path, names: list[str]) -> None:
    """Look for all before any is opened: the answer comes at once, and names them."""
    missing = [name for name in names if not os.path.exists(folder / name)]
    if missing:
        which = ", ".join(missing[:4]) + (", …" if len(missing) > 4 else "")
        raise ModelFileError(
            errno.ENOENT,
            f"{len(missing)} of {len(names)} files of the model are missing: {which}",
            str(folder / missing[0]),
        )
