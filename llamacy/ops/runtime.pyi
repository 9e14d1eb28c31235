from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.kernels.packing import PackedMatrix

Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]

PAGE: Final[int]
MAX_RUN: Final[int]
EPILOGUES: Final[dict[str, int]]
KV_TYPES: Final[dict[str, int]]

class Program:
    def __init__(
        self,
        capsule: object,
        n_threads: int,
        kv_type: str,
        n_head: int,
        n_head_kv: int,
        head_dim: int,
    ) -> None: ...
    @property
    def layer_bytes(self) -> int: ...
    def prepared_bytes(self, k: int, m: int) -> int: ...
    def reads_prepared(self, weight: PackedMatrix) -> bool: ...
    def embedding(
        self, weight: PackedMatrix, y: Floats, *, waits: bool = False
    ) -> None: ...
    def rope_table(
        self,
        angles: Floats,
        head_dim: int,
        magnitude: float,
        table: Floats,
        *,
        waits: bool = False,
    ) -> None: ...
    def rms_norm(
        self,
        x: Floats,
        weight: Floats,
        eps: float,
        y: Floats,
        prepared: Bytes | None = None,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def prepare(
        self,
        x: Floats,
        n: int,
        prepared: Bytes,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def linear(
        self,
        form: str,
        weight: PackedMatrix,
        bias: Floats | None,
        x: Floats,
        prepared: Bytes | None,
        y: Floats | None,
        weight2: PackedMatrix | None = None,
        bias2: Floats | None = None,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def append(
        self,
        layer: int,
        q: Floats,
        k: Floats,
        v: Floats,
        q_table: Floats | None,
        k_table: Floats | None,
        *,
        waits: bool = False,
    ) -> None: ...
    def attention(
        self, layer: int, scale: float, q: Floats, y: Floats, *, waits: bool = False
    ) -> None: ...
    def wanted(self, x: Floats, y: Floats, *, waits: bool = False) -> None: ...
    def add(
        self,
        x: Floats,
        y: Floats,
        z: Floats,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def silu_mul(
        self,
        x: Floats,
        y: Floats,
        z: Floats,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def run(
        self,
        tokens: NDArray[np.int32],
        positions: NDArray[np.int32],
        wanted: NDArray[np.int32],
        runs: NDArray[np.int32],
        pages: NDArray[np.uintp],
        logits: Floats,
        n_threads: int,
    ) -> None: ...
