from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.kernels.packing.matrices import PackedExperts, PackedMatrix
from llamacy.ops.plan.routing import Routing

_Floats: TypeAlias = NDArray[np.float32]
_Bytes: TypeAlias = NDArray[np.uint8]

PAGE: Final[int]
MAX_RUN: Final[int]
EPILOGUES: Final[dict[str, int]]
KV_TYPES: Final[dict[str, int]]

class Steps:
    def __new__(
        cls,
        capsule: object,
        n_threads: int,
        kv_type: str,
        n_head: int,
        n_head_kv: int,
        head_dim: int,
        value_dim: int = 0,
    ) -> Self: ...
    @property
    def layer_bytes(self) -> int: ...
    @property
    def head_dim(self) -> int: ...
    def prepared_bytes(self, k: int, m: int) -> int: ...
    def reads_prepared(self, weight: PackedMatrix | PackedExperts) -> bool: ...
    def embedding(
        self, weight: PackedMatrix, y: _Floats, *, waits: bool = False
    ) -> None: ...
    def rope_table(
        self,
        angles: _Floats,
        head_dim: int,
        half: int,
        magnitude: float,
        table: _Floats,
        *,
        waits: bool = False,
    ) -> None: ...
    def rms_norm(
        self,
        x: _Floats,
        weight: _Floats,
        eps: float,
        y: _Floats,
        prepared: _Bytes | None = None,
        *,
        n_parts: int = 1,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def prepare(
        self,
        x: _Floats,
        n: int,
        prepared: _Bytes,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def linear(
        self,
        form: str,
        weight: PackedMatrix,
        bias: _Floats | None,
        x: _Floats,
        prepared: _Bytes | None,
        y: _Floats | None,
        weight2: PackedMatrix | None = None,
        bias2: _Floats | None = None,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def append(
        self,
        layer: int,
        q: _Floats,
        k: _Floats,
        v: _Floats,
        q_table: _Floats | None,
        k_table: _Floats | None,
        *,
        q_half: int = 0,
        k_half: int = 0,
        waits: bool = False,
    ) -> None: ...
    def attention(
        self,
        layer: int,
        scale: float,
        q: _Floats,
        y: _Floats,
        *,
        window: int = 0,
        softcap: float = 0,
        sinks: _Floats | None = None,
        may_round: bool = False,
        waits: bool = False,
    ) -> None: ...
    def wanted(self, x: _Floats, y: _Floats, *, waits: bool = False) -> None: ...
    def copy(
        self,
        x: _Floats,
        n: int,
        y: _Floats | None,
        table: _Floats | None = None,
        *,
        half: int = 0,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def scale(
        self,
        x: _Floats | None,
        n: int,
        factor: float,
        y: _Floats | None,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def softcap(
        self,
        x: _Floats | None,
        n: int,
        cap: float,
        y: _Floats | None,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def add(
        self,
        x: _Floats,
        y: _Floats,
        z: _Floats,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def silu_mul(
        self,
        x: _Floats,
        y: _Floats,
        z: _Floats,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def gelu_mul(
        self,
        x: _Floats,
        y: _Floats,
        z: _Floats,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def sigmoid_gate(
        self,
        x: _Floats,
        weight: _Floats,
        y: _Floats,
        n: int,
        z: _Floats,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def route(
        self,
        routing: Routing,
        scores: _Floats,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def group(
        self, routing: Routing, *, waits: bool = False, of_wanted: bool = False
    ) -> None: ...
    def gather(
        self,
        routing: Routing,
        x: _Floats,
        n: int,
        y: _Floats | None,
        prepared: _Bytes | None,
        is_by_row: bool,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def experts(
        self,
        form: str,
        routing: Routing,
        weight: PackedExperts,
        bias: _Floats | None,
        x: _Floats | None,
        prepared: _Bytes | None,
        y: _Floats,
        weight2: PackedExperts | None = None,
        bias2: _Floats | None = None,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
    def mix(
        self,
        routing: Routing,
        x: _Floats,
        n: int,
        y: _Floats,
        *,
        waits: bool = False,
        of_wanted: bool = False,
    ) -> None: ...
