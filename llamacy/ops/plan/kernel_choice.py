"""The choices of a level's kernels on which the steps of a program depend."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol


class Kernels(Protocol):
    """The questions that a lowering asks the kernels of a level."""

    @property
    def n_threads(self) -> int:
        """Most threads that run the steps."""

    @property
    def has_bf16(self) -> bool:
        """Whether attention can read pages in bfloat16."""

    def reads_prepared(self, weight: Any) -> bool:
        """Whether products with a matrix or with experts read prepared activations."""

    def digits_read(self, weight: Any) -> int:
        """Count the digits that such products read of them.

        0: they read floats; 4: numbers in fixed point, more precise than bfloat16.
        """

    def rounds(self, weight: Any) -> bool:
        """Whether such products round activations to bfloat16 or to less."""

    def prepared_bytes(self, k: int, m: int) -> int:
        """Count the bytes that m rows of k activations take once they are prepared."""


def all_digits(read: Iterable[int]) -> int:
    """Join the digits that products read of one value, or forms in fixed point.

    Parameters
    ----------
    read : iterable of int
        Answers of `digits_read`, one a weight.
    """
    read = tuple(read)
    digits = max((each & 3 for each in read), default=0)
    return digits | max((each & 4 for each in read), default=0)
