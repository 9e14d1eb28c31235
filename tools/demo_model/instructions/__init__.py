"""Instructions with one right answer each, one file per subject.

Every kind of instruction is a function of a random generator that returns a `Task`.
`KINDS` lists them all, for training and for the evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from . import (
    arithmetic,
    calendar,
    code,
    geography,
    passages,
    units,
    words,
)
from .task import Task

__all__ = ["KINDS", "Task"]

KINDS: dict[str, Callable[[Random], Task]] = {
    "sum": arithmetic.addition,
    "difference": arithmetic.subtraction,
    "comparing": arithmetic.comparing,
    "sorting": arithmetic.sorting,
    "opposite": words.opposite,
    "plural": words.plural,
    "spelling": words.spelling,
    "reversing": words.reversing,
    "counting letters": words.counting,
    "calendar": calendar.calendar,
    "capital": geography.capital,
    "unit": units.conversion,
    "passage": passages.question,
    "python": code.python,
}
