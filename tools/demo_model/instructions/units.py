"""Units of length, weight, time and number."""

from __future__ import annotations

from random import Random

from .task import Task, phrased

_PARTS = (
    ("meter", "centimeter", 100),
    ("centimeter", "millimeter", 10),
    ("kilometer", "meter", 1000),
    ("kilogram", "gram", 1000),
    ("ton", "kilogram", 1000),
    ("liter", "milliliter", 1000),
    ("minute", "second", 60),
    ("hour", "minute", 60),
    ("day", "hour", 24),
    ("week", "day", 7),
    ("year", "month", 12),
    ("century", "year", 100),
    ("foot", "inch", 12),
    ("yard", "foot", 3),
)
_PLURALS = {"century": "centuries", "foot": "feet", "inch": "inches"}
_WAYS = (
    "How many {parts} are in {n} {wholes}?",
    "How many {parts} are there in {n} {wholes}?",
    "Convert {n} {wholes} to {parts}.",
    "What is {n} {wholes} in {parts}?",
)


def conversion(rng: Random) -> Task:
    """Convert up to twelve of a larger unit to a smaller one, or back."""
    whole, part, ratio = rng.choice(_PARTS)
    n = rng.randint(1, 12)
    if rng.random() < 0.25:
        text = phrased(
            rng,
            _WAYS[2:],
            n=n * ratio,
            wholes=_plural(part, n * ratio),
            parts=_plural(whole),
        )
        return Task(text, f"{n} {_plural(whole, n)}")
    text = phrased(rng, _WAYS, n=n, wholes=_plural(whole, n), parts=_plural(part))
    return Task(text, f"{n * ratio} {_plural(part, n * ratio)}")


def _plural(unit: str, n: int = 2) -> str:
    return unit if n == 1 else _PLURALS.get(unit, f"{unit}s")
