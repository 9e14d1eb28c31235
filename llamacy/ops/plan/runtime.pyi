from collections.abc import Callable
from typing import Self

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.plan.steps import Steps

class Program(Steps):
    @property
    def n_threads(self) -> int: ...
    def run(
        self,
        tokens: NDArray[np.int32],
        positions: NDArray[np.int32],
        wanted: NDArray[np.int32],
        runs: NDArray[np.int32],
        pages: NDArray[np.uintp],
        logits: NDArray[np.float32],
        n_threads: int,
        seconds: NDArray[np.float64] | None = None,
        is_long: NDArray[np.uint8] | None = None,
        angles: NDArray[np.float32] | None = None,
        of_wanted: WantedRows | None = None,
        spans: NDArray[np.int32] | None = None,
        states: NDArray[np.uintp] | None = None,
        types: NDArray[np.int32] | None = None,
        after_pass: Callable[[], list[int] | None] | None = None,
    ) -> None: ...
    def kernel_of(self, i: int, n_rows: int, n_wanted: int) -> str: ...

class WantedRows:
    def __new__(
        cls,
        positions: NDArray[np.int32],
        runs: NDArray[np.int32],
        pages: NDArray[np.uintp],
        is_long: NDArray[np.uint8] | None = None,
        angles: NDArray[np.float32] | None = None,
    ) -> Self: ...
