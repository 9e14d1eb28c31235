from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_KEPT: Final[int]

def draw(
    logits: NDArray[np.float32],
    top_k: int,
    top_p: float,
    min_p: float,
    temperature: float,
    uniform: float,
) -> int: ...
