"""The elementwise operations in NumPy, float32: a part of the reference executor."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class Elementwise:
    """Operations on numbers one by one, `ELEMENTWISE` in `llamacy.ops.vocabulary`."""

    def silu_mul(self, gate: Array, up: Array) -> Array:
        return self.silu(gate) * up

    def gelu_mul(self, gate: Array, up: Array) -> Array:
        return self.gelu(gate) * up

    def mul(self, x: Array, y: Array) -> Array:
        return x * y

    def gelu(self, x: Array) -> Array:
        with np.errstate(over="ignore"):  # tanh of infinity is 1
            cubic = x + np.float32(0.044715) * x * x * x
            inner = np.float32(math.sqrt(2 / math.pi)) * cubic
        y: Array = np.float32(0.5) * x * (1 + np.tanh(inner))
        return y

    def gelu_erf(self, x: Array) -> Array:
        y: Array = np.float32(0.5) * x * _erfc(x * np.float32(-math.sqrt(0.5)))
        return y

    def gelu_quick(self, x: Array) -> Array:
        return x * self.sigmoid(np.float32(1.702) * x)

    def silu(self, x: Array) -> Array:
        with np.errstate(over="ignore"):  # exp(-x) may be inf: the quotient is 0
            y: Array = x / (1 + np.exp(-x))
        return y

    def sigmoid(self, x: Array) -> Array:
        with np.errstate(over="ignore"):
            y: Array = np.reciprocal(1 + np.exp(-x))
        return y

    def softplus(self, x: Array) -> Array:
        return np.logaddexp(x, np.float32(0))

    def relu(self, x: Array) -> Array:
        return np.maximum(x, np.float32(0))

    def relu_squared(self, x: Array) -> Array:
        return np.square(self.relu(x))

    def xielu(
        self, x: Array, alpha_p: float, alpha_n: float, beta: float, eps: float
    ) -> Array:
        above = np.float32(alpha_p) * x * x
        below = np.float32(alpha_n) * (np.expm1(np.minimum(x, np.float32(eps))) - x)
        y: Array = np.where(x > 0, above, below) + np.float32(beta) * x
        return y

    def scale(self, x: Array, factor: float) -> Array:
        return x * np.float32(factor)

    def softcap(self, x: Array, cap: float) -> Array:
        y: Array = np.tanh(x / np.float32(cap)) * np.float32(cap)
        return y

    def clamp(self, x: Array, least: float, most: float) -> Array:
        return np.clip(x, np.float32(least), np.float32(most))

    def add(self, x: Array, y: Array) -> Array:
        return x + y


def _erfc(x: Array) -> Array:
    """Return 1 - erf(x), which NumPy does not have."""
    y: Array = np.vectorize(math.erfc, otypes=[np.float32])(x)
    return y
