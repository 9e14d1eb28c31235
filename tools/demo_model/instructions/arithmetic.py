"""Sums, differences, and the order of numbers."""

from __future__ import annotations

from random import Random

from .task import Task, phrased

_SUM = (
    "What is {a} + {b}?",
    "What is {a} plus {b}?",
    "Add {a} and {b}.",
    "Calculate {a} + {b}.",
    "What is the sum of {a} and {b}?",
    "{a} + {b} = ?",
    "How much is {a} + {b}?",
)
_DIFFERENCE = (
    "What is {a} - {b}?",
    "What is {a} minus {b}?",
    "Subtract {b} from {a}.",
    "Calculate {a} - {b}.",
    "What is the difference between {a} and {b}?",
    "{a} - {b} = ?",
    "How much is {a} - {b}?",
)
_LARGER = (
    "Which is {word}, {a} or {b}?",
    "Which number is {word}: {a} or {b}?",
    "Which of the numbers {a} and {b} is {word}?",
)
_EXTREME = (
    "What is the {word} of these numbers: {numbers}?",
    "Find the {word} number: {numbers}",
    "Which is the {word} number in {numbers}?",
    "Give the {word} of {numbers}.",
)
_SORT = (
    "Sort these numbers: {numbers}",
    "Sort the numbers {numbers}.",
    "Sort these numbers in ascending order: {numbers}",
    "Put these numbers in order: {numbers}",
    "Order the numbers from smallest to largest: {numbers}",
)
_SORT_DOWN = (
    "Sort these numbers in descending order: {numbers}",
    "Sort the numbers {numbers} from largest to smallest.",
    "Order the numbers from largest to smallest: {numbers}",
)


def _number(rng: Random) -> int:
    """Draw a number of up to two digits; of one digit more often than uniformly."""
    return rng.randint(0, 20) if rng.random() < 0.2 else rng.randint(0, 99)


def addition(rng: Random) -> Task:
    """Add two numbers."""
    a, b = _number(rng), _number(rng)
    return Task(phrased(rng, _SUM, a=a, b=b), str(a + b), f"{a} + {b} =")


def subtraction(rng: Random) -> Task:
    """Subtract the smaller number, or now and then the larger one."""
    a, b = _number(rng), _number(rng)
    if a < b and rng.random() < 0.8:
        a, b = b, a
    # "the difference between" would leave the sign open
    ways = tuple(way for way in _DIFFERENCE if a >= b or "between" not in way)
    return Task(phrased(rng, ways, a=a, b=b), str(a - b), f"{a} - {b} =")


def comparing(rng: Random) -> Task:
    """Choose the largest or smallest of two to four numbers."""
    numbers = rng.sample(range(100), rng.randint(2, 4))
    largest = rng.random() < 0.5
    answer = max(numbers) if largest else min(numbers)
    if len(numbers) == 2:
        word = rng.choice(("larger", "bigger", "greater") if largest else ("smaller",))
        a, b = numbers
        return Task(phrased(rng, _LARGER, word=word, a=a, b=b), str(answer))
    word = rng.choice(("largest", "biggest") if largest else ("smallest",))
    return Task(phrased(rng, _EXTREME, word=word, numbers=_list(numbers)), str(answer))


def sorting(rng: Random) -> Task:
    """Sort three to five numbers."""
    numbers = rng.sample(range(100), rng.randint(3, 5))
    down = rng.random() < 0.3
    text = phrased(rng, _SORT_DOWN if down else _SORT, numbers=_list(numbers))
    return Task(text, _list(sorted(numbers, reverse=down)))


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
