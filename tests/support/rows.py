"""Random rows of any width, for kernels that take them a whole vector at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

WIDTHS = [*range(1, 50), 64, 100, 257]


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def whole(x: Array) -> Array:
    """`x` with its rows filled up to whole vectors by zeros."""
    return np.pad(x, [(0, 0), (0, -x.shape[1] % 16)])
