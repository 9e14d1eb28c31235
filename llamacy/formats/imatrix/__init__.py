"""Files of importance matrices: GGUF, and llama.cpp's older `.dat`."""

from __future__ import annotations

import os
from pathlib import Path

from llamacy.arguments import checked_choice, checked_path
from llamacy.formats.imatrix import dat_form, gguf_form
from llamacy.formats.imatrix.matrix import ImportanceMatrix, InputSums
from llamacy.formats.mapped_file import MappedFile

__all__ = ["ImportanceMatrix", "InputSums", "read_imatrix", "save"]


def read_imatrix(
    path: str | os.PathLike[str], *, argument: str = "imatrix"
) -> ImportanceMatrix:
    """Read an importance matrix, of either form.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    argument : str
        Name of the caller's argument, for errors.

    Raises
    ------
    ArgumentError
        `path` is not a path.
    FormatError
        The file is something else, or it is broken.
    ModelFileError
        The file cannot be read.
    """
    name = checked_path(argument, path)
    file = MappedFile(Path(name), "an importance matrix")
    try:
        is_gguf = file.data[:4] == b"GGUF"
    finally:
        file.close()
    return gguf_form.read(name) if is_gguf else dat_form.read(name)


def save(
    matrix: ImportanceMatrix, path: str | os.PathLike[str], format: str | None = None
) -> None:
    """Write an importance matrix: see `ImportanceMatrix.save`."""
    name = checked_path("path", path)
    if format is None:
        format = "dat" if name.endswith(".dat") else "gguf"
    checked_choice("format", format, ("gguf", "dat"))
    (dat_form if format == "dat" else gguf_form).write(matrix, name)
