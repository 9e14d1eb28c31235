"""Rows of a packed matrix as the floats that passes compute with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy import kernels
from llamacy.errors import OutOfMemoryError
from llamacy.ops.plan.buffers import padded
from llamacy.ops.plan.runtime import Program
from llamacy.ops.plan.step import Step


def unpack_rows(
    weight: Any, first: int, n_rows: int, level: str, n_threads: int
) -> NDArray[np.float32]:
    """Look rows up as an embedding's are; of a vector, itself as the one row.

    Parameters
    ----------
    weight : PackedMatrix or float32, (n,)
        The matrix.
    first, n_rows : int
        The rows; fewer come back where the matrix ends.
    level : str
        Instruction-set level of the kernels.
    n_threads : int
        Threads that unpack.

    Returns
    -------
    float32, (n_rows, n_in)

    Raises
    ------
    OutOfMemoryError
        There is no memory for them.
    """
    if isinstance(weight, np.ndarray):
        return np.atleast_2d(weight)[first : first + n_rows]
    n, n_in = weight.shape
    rows = np.arange(first, min(n, first + n_rows), dtype=np.int32)
    try:
        y = np.empty((len(rows), padded(n_in)), np.float32)
    except MemoryError as error:
        raise OutOfMemoryError(f"no memory for {len(rows)} rows of a matrix") from error
    program = Program(kernels.load(level).table, n_threads)
    program.add(Step.of("embedding", {}, {"y": y}, weight=weight))
    none = np.empty(0, np.int32)
    runs, pages = np.empty((0, 3), np.int32), np.empty(0, np.uintp)
    program.run(rows, rows, none, runs, pages, np.empty((0, 1), np.float32), n_threads)
    return y[:, :n_in]
