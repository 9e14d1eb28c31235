"""Builds GGUF metadata for a model of another format: values and their GGUF types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

UINT8, UINT32, INT32, FLOAT32, BOOL, STRING = 0, 4, 5, 6, 7, 8
"""Value types, as GGUF numbers them."""


class Metadata:
    """Keys and values as a GGUF file would have them.

    Attributes
    ----------
    values : dict of str to Any
        Like `metadata` of `llamacy.formats.gguf.file.GGUFFile`.
    types : dict of str to int
        Like its `value_types`.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.types: dict[str, int] = {}

    def integer(self, key: str, value: int) -> None:
        """Add an integer from 0 to 2**32 - 1."""
        self._add(key, value, UINT32)

    def signed(self, key: str, value: int) -> None:
        """Add an integer from -2**31 to 2**31 - 1."""
        self._add(key, value, INT32)

    def real(self, key: str, value: float) -> None:
        """Add a number, rounded to float32 as a file would store it."""
        self._add(key, float(np.float32(value)), FLOAT32)

    def flag(self, key: str, value: bool) -> None:
        """Add a boolean."""
        self._add(key, value, BOOL)

    def text(self, key: str, value: str) -> None:
        """Add a string."""
        self._add(key, value, STRING)

    def texts(self, key: str, values: list[str]) -> None:
        """Add an array of strings."""
        self._add(key, values, STRING)

    def integers(self, key: str, values: Sequence[int]) -> None:
        """Add an array of int32."""
        self._add(key, _fixed(values, np.int32), INT32)

    def reals(self, key: str, values: Sequence[float]) -> None:
        """Add an array of float32."""
        self._add(key, _fixed(values, np.float32), FLOAT32)

    def flags(self, key: str, values: Sequence[bool]) -> None:
        """Add an array of booleans."""
        self._add(key, _fixed(values, np.bool_), BOOL)

    def octets(self, key: str, value: bytes) -> None:
        """Add an array of bytes."""
        self._add(key, np.frombuffer(value, np.uint8), UINT8)

    def update(self, other: Metadata) -> None:
        """Add all keys of `other`, replacing equal ones."""
        self.values.update(other.values)
        self.types.update(other.types)

    def _add(self, key: str, value: Any, value_type: int) -> None:
        self.values[key] = value
        self.types[key] = value_type


def _fixed(values: Sequence[float], dtype: type) -> NDArray[Any]:
    array: NDArray[Any] = np.array(values, dtype)
    array.flags.writeable = False
    return array
