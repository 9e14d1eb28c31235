"""A level's verbs, called one by one on NumPy arrays; see levels/verb_calls.h."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy import kernels

FILLING = b"\x5a"


class _Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("a", "b", "c", "n", "out")]


_Call = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Memory))


class _VerbCall(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("call", _Call)]


class _VerbTable(ctypes.Structure):
    _fields_ = [
        ("calls", ctypes.POINTER(_VerbCall)),
        ("byte_zero", ctypes.c_int),
        ("dot_rows", ctypes.c_int),
        ("bundle_rows", ctypes.c_int),
        ("skips_digits", ctypes.c_int),
        ("columns", ctypes.c_int * 4),
    ]


class Verbs:
    """The verbs of one level.

    Attributes
    ----------
    names : tuple of str
        Verbs that the level has.
    byte_zero, dot_rows : int
        BYTE_ZERO and DOT_ROWS of the level.
    bundle_rows : int
        BUNDLE_ROWS of the level; 0 if it has none.
    skips_digits : bool
        Whether it is a level of SKIPS_DIGITS.
    columns : list of int
        WORD_COLUMNS of the level.
    """

    def __init__(self, level: str) -> None:
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype = ctypes.c_void_p
        pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        address = pointer(kernels.load(level).verbs, b"llamacy.verb_table")
        table = _VerbTable.from_address(address)
        self._calls: dict[str, Any] = {}
        while name := table.calls[len(self._calls)].name:
            self._calls[name.decode()] = table.calls[len(self._calls)].call
        self.names = tuple(self._calls)
        self.byte_zero: int = table.byte_zero
        self.dot_rows: int = table.dot_rows
        self.bundle_rows: int = table.bundle_rows
        self.skips_digits = bool(table.skips_digits)
        self.columns: list[int] = list(table.columns)

    def __call__(
        self,
        name: str,
        *inputs: NDArray[Any],
        n: Sequence[int] = (),
        before: NDArray[Any] | None = None,
        out: tuple[Any, int] = (np.float32, 16),
    ) -> NDArray[Any]:
        """Call one verb.

        Parameters
        ----------
        name : str
            A verb of the level.
        *inputs : arrays
            Its vectors; at most three.
        n : ints
            Its integers.
        before : array, optional
            The output before the call, for verbs that add to it.
        out : (dtype, int)
            Type and number of the elements to return.

        Returns
        -------
        array
            The output, of `out`.
        """
        dtype, count = out
        nbytes = np.dtype(dtype).itemsize * count
        memory = [_unaligned(array.tobytes()) for array in inputs]
        memory += [_NOTHING] * (3 - len(inputs))
        held = b"" if before is None else before.tobytes()
        result = _unaligned(held, nbytes)
        numbers = (ctypes.c_int32 * (len(n) + 1))(*n)
        addresses = [each.address for each in memory]
        addresses += [ctypes.addressof(numbers), result.address]
        self._calls[name](ctypes.byref(_Memory(*addresses)))
        after = result.bytes_after(max(nbytes, len(held)))
        assert not after.strip(FILLING), f"{name} wrote past the end"
        return np.frombuffer(result.memory, dtype, count, result.start).copy()


@dataclass(frozen=True, slots=True)
class _Room:
    memory: bytearray
    start: int
    address: int

    def bytes_after(self, end: int) -> bytearray:
        return self.memory[self.start + end :]


def _unaligned(data: bytes, nbytes: int = 0) -> _Room:
    """Copy bytes, or make room for them, to an unaligned address."""
    size = max(len(data), nbytes)
    memory = bytearray(FILLING * (size + 256))
    begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    start = (4 - begin) % 64
    memory[start : start + len(data)] = data
    return _Room(memory, start, begin + start)


_NOTHING = _unaligned(b"")


@cache
def has_tiles(level: str) -> bool:
    """Whether products of many rows go through bfloat16 tiles."""
    return "T_DOT" in Verbs(level).names
