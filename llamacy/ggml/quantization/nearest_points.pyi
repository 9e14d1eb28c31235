import numpy as np
from numpy.typing import NDArray

def nearest_points(
    points: NDArray[np.float32],
    x: NDArray[np.float32],
    w: NDArray[np.float32],
    scales: NDArray[np.float32],
) -> NDArray[np.uint16]: ...
