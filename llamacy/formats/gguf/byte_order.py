"""Weights of big-endian files, in which the highest byte of a number comes first.

ggml reads blocks as the machine has them, so files for big-endian machines have float
weights and the scales of blocks in that order. `GGUFWriter(endianess=BIG)` of the
package gguf, on a little-endian machine, turns F32 and F16 alone, and leaves the bytes
of all other types as they were. So their order is found by looking at them: numbers
read the wrong way round are of all magnitudes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import UnsupportedError
from llamacy.formats.derived_tensor import DerivedTensor
from llamacy.formats.model_file import ModelTensor
from llamacy.ggml.types import GGMLType

HALVES: Final[dict[GGMLType, tuple[int, ...]]] = {
    GGMLType.BF16: (0,),
    GGMLType.Q4_0: (0,),
    GGMLType.Q4_1: (0, 2),
    GGMLType.Q8_0: (0,),
    GGMLType.Q2_K: (80, 82),
    GGMLType.Q4_K: (0, 2),
    GGMLType.Q5_K: (0, 2),
    GGMLType.Q6_K: (208,),
    GGMLType.IQ4_NL: (0,),
    GGMLType.TQ1_0: (52,),
    GGMLType.TQ2_0: (64,),
    GGMLType.MXFP4: (),
    GGMLType.NVFP4: (),
    GGMLType.Q1_0: (0,),
    GGMLType.Q2_0: (0,),
}
"""Offsets of a block's numbers of two bytes, of types that have no longer ones."""

_FLOATS: Final = {GGMLType.F32: 4, GGMLType.F16: 2}
_N_SAMPLED: Final = 1 << 14  # blocks whose numbers are looked at


class BigEndianTensor(DerivedTensor):
    """A tensor of a big-endian file, in the order of all others.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    whole : ModelTensor
        The tensor as it is in the file.
    path : Path
        The file, for errors.

    Raises
    ------
    UnsupportedError
        The tensor's type has numbers of more than two bytes in its blocks.
    """

    def __init__(self, whole: ModelTensor, path: Path) -> None:
        super().__init__(whole.name, whole.type, whole.shape, [whole])
        if whole.type not in _FLOATS and whole.type not in HALVES:
            names = ", ".join(each.name for each in (*_FLOATS, *HALVES))
            wanted = f"one of {names}, as the file is big-endian"
            raise UnsupportedError(
                path, f"tensor {whole.name}: type", wanted, whole.type.name
            )
        self._whole = whole

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, row after row: uint8, (n_bytes,), a fresh array."""
        raw, size = self._whole.data, _FLOATS.get(self.type)
        if size is not None:
            return np.ascontiguousarray(raw.reshape(-1, size)[:, ::-1]).reshape(-1)
        blocks = raw.reshape(-1, self.type.type_size).copy()
        for at in HALVES[self.type]:
            halves = blocks[:, at : at + 2]
            if self._is_turned(halves[:_N_SAMPLED]):
                halves[:] = halves[:, ::-1].copy()
        return blocks.reshape(-1)

    def _is_turned(self, halves: NDArray[np.uint8]) -> bool:
        """Whether these numbers of two bytes have the highest byte first."""
        pairs = np.ascontiguousarray(halves)
        n_bits = 8 if self.type is GGMLType.BF16 else 5  # of the exponent
        turned, plain = (
            _strangeness(pairs.view(order), n_bits) for order in (">u2", "<u2")
        )
        return turned <= plain

    def sample(self) -> bytes:
        """Return its first bytes in the file, for a fingerprint."""
        return self._whole.sample()


def _strangeness(numbers: NDArray[np.uint16], n_bits: int) -> tuple[float, float]:
    """Return how far the exponents of numbers are apart, and from those of weights."""
    exponents = numbers.astype(np.int64) >> (15 - n_bits) & (1 << n_bits) - 1
    used = exponents[numbers != 0]
    if not used.size:
        return 0.0, 0.0
    middle, usual = np.median(used), (1 << n_bits - 1) - 8  # about 1/128
    return float(np.abs(used - middle).mean()), float(abs(middle - usual))
