"""Decodes the weights of quantised folders: floats of 8 bits, and integers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.hugging_face.quantization import Form, Scheme
from llamacy.formats.safetensors.float8 import FLOAT8
from llamacy.formats.safetensors.folder import ByteTensor

Rows: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[Any]]
"""Decodes rows of bytes: uint8, (n, n_bytes), to float32 or int8, (n, n_in)."""


def n_words(n: int, scheme: Scheme) -> int:
    """Return the number of words of 32 bits that hold `n` integers."""
    return -(-n * scheme.n_bits // 32)


def decoder(tensor: ByteTensor, scheme: Scheme, shape: tuple[int, int]) -> Rows:
    """Return the function that decodes rows of a tensor."""
    if scheme.form is Form.FLOAT8:
        return partial(np.take, FLOAT8[tensor.dtype])
    if scheme.form is Form.BYTES:
        return lambda rows: rows.view(np.int8)
    return partial(integers, n_bits=scheme.n_bits, n=shape[1])


def integers(packed: NDArray[np.uint8], n_bits: int, n: int) -> NDArray[np.int8]:
    """Unpack rows of integers, the first in the lowest bits: int8, (n_rows, n).

    They are stored with an offset, which makes the least one 0.
    """
    codes = packed
    if n_bits == 4:
        pairs = np.stack([packed & np.uint8(15), packed >> np.uint8(4)], axis=-1)
        codes = pairs.reshape(len(packed), -1)
    return (codes[:, :n] - np.uint8(1 << (n_bits - 1))).view(np.int8)


def zero_points(
    tensor: ByteTensor, scheme: Scheme, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Read zero points: float32, of the grid of the scheme."""
    n_rows, n_columns = scheme.grid(shape)
    if scheme.form is Form.BYTES:
        values: NDArray[np.int8] = tensor.raw.view(np.int8)
        return values.reshape(n_rows, n_columns).astype(np.float32)
    words = tensor.raw.reshape(-1, n_columns, 4).swapaxes(0, 1)
    columns = np.ascontiguousarray(words).reshape(n_columns, -1)
    return integers(columns, scheme.n_bits, n_rows).T.astype(np.float32)
