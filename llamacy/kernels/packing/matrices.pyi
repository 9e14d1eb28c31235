from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

TYPE_NAMES: Final[tuple[str, ...]]

class PackedMatrix:
    def __new__(
        cls, type_name: str, n: int, k: int, panels: NDArray[np.uint8]
    ) -> Self: ...
    @property
    def type_name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def nbytes(self) -> int: ...

class PackedExperts:
    def __new__(
        cls, type_name: str, n_expert: int, n: int, k: int, panels: NDArray[np.uint8]
    ) -> Self: ...
    @property
    def type_name(self) -> str: ...
    @property
    def stride(self) -> int: ...
    @property
    def n_expert(self) -> int: ...
    @property
    def shape(self) -> tuple[int, int, int]: ...
    @property
    def nbytes(self) -> int: ...

class MappedMatrix:
    def __new__(
        cls, type_name: str, n: int, k: int, data: NDArray[np.uint8]
    ) -> Self: ...
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
def pack_experts(
    type_name: str,
    data: NDArray[np.uint8],
    n_expert: int,
    n: int,
    k: int,
    out: NDArray[np.uint8],
    n_threads: int = 1,
) -> PackedExperts: ...
