"""Bounds of numbers, and multiples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from llamacy.structured.schema.places import Place

_LOWER: Final = ("minimum", "exclusiveMinimum")
_UPPER: Final = ("maximum", "exclusiveMaximum")

_MAX_MULTIPLE: Final = 10_000
"""The automaton of a multiple has as many states: beyond this it takes seconds."""

_LAST: Final = 2.0**63 - 1024
"""The largest double within int64, in which llguidance bounds numbers."""

_LEAST: Final = Decimal("1e-30")
"""The smallest bound but 0; each digit of one is a state."""


def number_keywords(node: Mapping[str, Any], at: Place) -> dict[str, Any]:
    """Return the bounds and the multiple of a schema, as llguidance enforces them."""
    found: dict[str, Any] = {}
    for plain, exclusive in (_LOWER, _UPPER):
        is_lower = plain == "minimum"
        if isinstance(node.get(exclusive), bool):  # of `plain`, in the fourth draft
            if plain in node:
                name = exclusive if node[exclusive] else plain
                found[name] = _bound(node[plain], at / plain, is_lower=is_lower)
            continue
        for keyword in (plain, exclusive):
            if keyword in node:
                found[keyword] = _bound(node[keyword], at / keyword, is_lower=is_lower)
    if "multipleOf" in node:
        found["multipleOf"] = _multiple(node["multipleOf"], at / "multipleOf")
    lows = [found[name] for name in _LOWER if name in found]
    highs = [found[name] for name in _UPPER if name in found]
    if lows and highs and max(lows) > min(highs):
        at.refuse(f"a number of at least {max(lows)}", f"at most {min(highs)}")
    return found


def _bound(value: Any, at: Place, *, is_lower: bool) -> float | int:
    """Return a bound that a double holds: the given one, or the next one inward."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        at.refuse("a number", value)
    if isinstance(value, float) and not math.isfinite(value):
        at.refuse("a finite number", value)
    if value and abs(Decimal(value)) < _LEAST:
        at.refuse_size(f"a bound of 0, or of at least {_LEAST}", value)
    inward = math.inf if is_lower else -math.inf
    if abs(value) > _LAST:
        if (value > 0) == is_lower:
            at.refuse("a bound within 64 bits", value)
        return int(math.copysign(_LAST, value))
    number = float(value)
    if (number < value) if is_lower else (number > value):
        number = math.nextafter(number, inward)
    return int(number) if number.is_integer() else number


def _multiple(value: Any, at: Place) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        at.refuse("a number", value)
    if not 0 < value < math.inf:
        at.refuse("a finite number above 0", value)
    exact = Decimal(repr(value)).normalize()
    _, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)
    whole = int("".join(map(str, digits))) * 10 ** max(exponent, 0)
    if whole > _MAX_MULTIPLE or exponent < -20:
        at.refuse_size(f"at most {_MAX_MULTIPLE} without its decimal point", value)
    return value
