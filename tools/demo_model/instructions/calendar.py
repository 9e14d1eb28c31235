"""Days and months."""

from __future__ import annotations

from random import Random

from .task import Task, phrased

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = (
    "January February March April May June July August September October November "
    "December"
).split()
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
).split()

_AFTER = (
    "Which {unit} comes after {name}?",
    "What {unit} comes after {name}?",
    "Name the {unit} after {name}.",
    "What is the next {unit} after {name}?",
)
_BEFORE = (
    "Which {unit} comes before {name}?",
    "What {unit} comes before {name}?",
    "Name the {unit} before {name}.",
)
_NTH = (
    "What is the {ordinal} {unit} of the {whole}?",
    "Name the {ordinal} {unit} of the {whole}.",
    "Which is the {ordinal} {unit} of the {whole}?",
)
_LENGTH = (
    "How many days does {name} have?",
    "How many days are in {name}?",
    "How many days are there in the month of {name}?",
)
_TODAY = (
    "Today is {name}. What day is tomorrow?",
    "If today is {name}, what day is tomorrow?",
)


def calendar(rng: Random) -> Task:
    """Ask for a day or a month by its position, or for a month's length."""
    unit, whole, names = rng.choice((("day", "week", DAYS), ("month", "year", MONTHS)))
    at = rng.randrange(len(names))
    name, following = names[at], names[(at + 1) % len(names)]
    choice = rng.randrange(4)
    if choice == 0:
        text = phrased(rng, _AFTER, unit=unit, name=name)
        return Task(text, following, f"The {unit} after {name} is")
    if choice == 1:
        return Task(phrased(rng, _BEFORE, unit=unit, name=name), names[at - 1])
    if choice == 2:
        text = phrased(rng, _NTH, ordinal=_ORDINALS[at], unit=unit, whole=whole)
        return Task(text, name, f"The {_ORDINALS[at]} {unit} of the {whole} is")
    if unit == "day":
        return Task(phrased(rng, _TODAY, name=name), following)
    return Task(phrased(rng, _LENGTH, name=name), str(_LENGTHS[at]))
