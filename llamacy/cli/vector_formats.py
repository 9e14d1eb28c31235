"""Files of vectors: JSON lines, NumPy's arrays, Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.cli.failures import UsageError
from llamacy.system.whole_files import file_errors, new_file

if TYPE_CHECKING:
    from llamacy.cli.vector_store import VectorStore

Write: TypeAlias = "Callable[[str, VectorStore, int], None]"
"""Writes a draft, given its path, the vectors, and the numbers of each."""


def json_line(index: int, n_tokens: int, vector: NDArray[np.float32]) -> str:
    """Return a vector as a JSON object; nine digits are enough for a float32."""
    numbers = ", ".join([f"{number:.9g}" for number in vector.tolist()])
    return f'{{"index": {index}, "n_tokens": {n_tokens}, "embedding": [{numbers}]}}'


def writer_of(target: str) -> Write:
    """Return the function that writes files of a name's ending.

    Raises
    ------
    UsageError
        There is no such kind of file.
    MissingPackageError
        It needs a package that is not installed.
    """
    suffix = Path(target).suffix.lower()
    if suffix not in _WRITERS:
        wanted = ", ".join(_WRITERS)
        raise UsageError(f"-o: wanted a name that ends in {wanted}, found {target}")
    if suffix == ".parquet":
        from llamacy.jobs.packages import pyarrow_parquet

        pyarrow_parquet()
    return _WRITERS[suffix]


def write(target: str, store: VectorStore, n_dim: int) -> None:
    """Write a file, whole or not at all.

    Raises
    ------
    ModelFileError
        It cannot be written.
    """
    written = writer_of(target)
    with new_file(target) as draft, file_errors(target):
        written(draft, store, n_dim)


def _write_json_lines(draft: str, store: VectorStore, n_dim: int) -> None:
    with open(draft, "w", encoding="utf-8", newline="\n") as file:
        for index, record in enumerate(_records(store)):
            file.write(json_line(index, record["n_tokens"], record["vector"]) + "\n")


def _records(store: VectorStore) -> Iterator[Any]:
    for piece in store.pieces():
        yield from piece


def _write_array(draft: str, store: VectorStore, n_dim: int) -> None:
    shape = (store.n_done, n_dim)
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with open(draft, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for piece in store.pieces():
            file.write(piece["vector"].tobytes())


def _write_parquet(draft: str, store: VectorStore, n_dim: int) -> None:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    vectors = pyarrow.list_(pyarrow.float32(), n_dim)
    fields = [("index", pyarrow.int64()), ("n_tokens", pyarrow.int32())]
    schema = pyarrow.schema([*fields, ("embedding", vectors)])
    first = 0
    with ParquetWriter(draft, schema) as writer:
        for piece in store.pieces():
            end = first + len(piece)
            numbers = pyarrow.array(piece["vector"].ravel(), pyarrow.float32())
            columns = [
                pyarrow.array(range(first, end), pyarrow.int64()),
                pyarrow.array(piece["n_tokens"].astype(np.int32)),
                pyarrow.FixedSizeListArray.from_arrays(numbers, n_dim),
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))
            first = end


_WRITERS: Final[dict[str, Write]] = {
    ".jsonl": _write_json_lines,
    ".npy": _write_array,
    ".parquet": _write_parquet,
}
