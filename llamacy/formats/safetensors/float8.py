"""Floats of 8 bits: the values of their 256 codes.

Sources: the OCP 8-bit Floating Point Specification 1.0 for E4M3 and E5M2, and its
Microscaling Formats specification 1.0 for E8M0, which is a power of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

_CODES: Final = np.arange(256)


def _e4m3() -> NDArray[np.float32]:
    """Sign, 4 bits of exponent, 3 of mantissa; no infinity, and one NaN a sign."""
    exponent, mantissa = _CODES >> 3 & 15, _CODES & 7
    whole = np.where(exponent == 0, mantissa, mantissa + 8)
    values = np.ldexp(whole.astype(np.float32), np.maximum(exponent, 1) - 10)
    values[_CODES & 127 == 127] = np.nan
    signed: NDArray[np.float32] = np.where(_CODES < 128, values, -values)
    return signed


def _e5m2() -> NDArray[np.float32]:
    """Return the values of float16 whose lower 8 bits are 0."""
    return (_CODES << 8).astype(np.uint16).view(np.float16).astype(np.float32)


def _e8m0() -> NDArray[np.float32]:
    """Return the powers of two; the last code is NaN."""
    powers = np.ldexp(np.float32(1), _CODES[:255] - 127)
    return np.append(powers, np.float32(np.nan))


SCALES: Final = "F8_E8M0"
"""The type that has scales, and never weights."""

FLOAT8: Final[Mapping[str, NDArray[np.float32]]] = {
    "F8_E4M3": _e4m3(),
    "F8_E5M2": _e5m2(),
    SCALES: _e8m0(),
}
"""The values, float32, (256,), of each of the safetensors types."""
