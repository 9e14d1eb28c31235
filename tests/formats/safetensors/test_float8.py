"""The values of floats of 8 bits, from the definitions of their bits."""

from __future__ import annotations

import math

import pytest

from llamacy.formats.safetensors.float8 import FLOAT8


@pytest.mark.parametrize(
    ("name", "n_exponent", "n_mantissa"), [("F8_E4M3", 4, 3), ("F8_E5M2", 5, 2)]
)
def test_codes_have_the_value_of_their_bits(
    name: str, n_exponent: int, n_mantissa: int
) -> None:
    bias = (1 << (n_exponent - 1)) - 1
    values = FLOAT8[name]
    assert (str(values.dtype), values.shape) == ("float32", (256,))
    for code, value in enumerate(values.tolist()):
        exponent = code >> n_mantissa & (1 << n_exponent) - 1
        mantissa = (code & (1 << n_mantissa) - 1) / (1 << n_mantissa)
        if name == "F8_E5M2" and exponent == 31:
            assert math.isnan(value) if mantissa else math.isinf(value)
        elif name == "F8_E4M3" and code & 127 == 127:
            assert math.isnan(value)
        else:
            whole = mantissa + (exponent > 0)
            assert abs(value) == whole * 2.0 ** (max(exponent, 1) - bias)
        if not math.isnan(value):
            assert math.copysign(1, value) == (-1 if code >> 7 else 1)


def test_scales_are_powers_of_two() -> None:
    values = FLOAT8["F8_E8M0"]
    assert [math.log2(value) for value in values[:255]] == list(range(-127, 128))
    assert math.isnan(values[255])
