"""Numbers of calls: all that JSON allows, whether a float holds them or not."""

from __future__ import annotations

import math
from decimal import Decimal, DecimalException
from typing import Final

_MOST_DIGITS: Final = 4300  # that Python turns into an integer, and writes again


def real(text: str) -> float | int:
    """Return a number with a decimal point or an exponent.

    One beyond the largest float, such as `1e999`, is an integer: JSON has no infinity,
    so that a call could not be sent back with one.

    Raises
    ------
    ValueError
        It has more digits than Python's integers are read with.
    """
    value = float(text)
    if math.isfinite(value):
        return value
    try:
        exact = Decimal(text)
    except DecimalException:  # its exponent has 19 digits
        exact = Decimal("Infinity")
    if not exact.is_finite() or exact.adjusted() >= _MOST_DIGITS:
        raise _too_long()
    return int(exact)


def whole(text: str) -> int:
    """Return a number without either.

    Raises
    ------
    ValueError
        It has more digits than Python's integers are read with.
    """
    if len(text.lstrip("+-")) > _MOST_DIGITS:
        raise _too_long()
    return int(text)


def _too_long() -> ValueError:
    return ValueError(f"a number has more than {_MOST_DIGITS} digits")
