from typing import Final

import numpy as np
from numpy.typing import NDArray

TYPE_NAMES: Final[tuple[str, ...]]

class PackedMatrix:
    def __init__(
        self, type_name: str, n: int, k: int, panels: NDArray[np.uint8]
    ) -> None: ...
    @property
    def type_name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def nbytes(self) -> int: ...

def packed_bytes(type_name: str, n: int, k: int) -> int: ...
def pack(
    type_name: str,
    data: NDArray[np.uint8],
    n: int,
    k: int,
    out: NDArray[np.uint8],
    n_threads: int = 1,
) -> PackedMatrix: ...
