"""Python: one-liners and loops."""

from __future__ import annotations

from random import Random

from .task import Task

_LISTS = "numbers values items words names prices scores".split()
_VERBS = ("Write", "Show me", "Give me")


def python(rng: Random) -> Task:
    """Ask for a few lines of Python."""
    makers = (_for_loop, _for_loop, _while_loop, _over_list, _expression, _function)
    return rng.choice(makers)(rng)


def _for_loop(rng: Random) -> Task:
    """Print a range of numbers, or the same text several times."""
    verb = rng.choice(_VERBS)
    if rng.random() < 0.3:
        n, word = rng.randint(2, 12), rng.choice(("hello", "hi", "yes", "Python"))
        return Task(
            f'{verb} a for loop in Python that prints "{word}" {n} times.',
            f'for i in range({n}):\n    print("{word}")',
        )
    if rng.random() < 0.2:
        text = f"{verb} a for loop in Python."
        answer = "for i in range(5):\n    print(i)"
        return Task(text, answer, "A for loop in Python can be written as follows:\n")
    first = rng.choice((0, 0, 0, 1, 1, rng.randint(2, 9)))
    last = first + rng.randint(2, 12)
    bounds = f"{last + 1}" if first == 0 else f"{first}, {last + 1}"
    text = rng.choice(
        (
            f"{verb} a for loop in Python that prints the numbers {first} to {last}.",
            f"{verb} a Python for loop that prints the numbers from {first} to {last}.",
            f"Print the numbers {first} to {last} in Python with a for loop.",
        )
    )
    begun = f"A for loop that prints the numbers {first} to {last} in Python:\n"
    return Task(text, f"for i in range({bounds}):\n    print(i)", begun)


def _while_loop(rng: Random) -> Task:
    """Count up with a while loop."""
    verb, n = rng.choice(_VERBS), rng.randint(3, 12)
    if rng.random() < 0.2:
        return Task(
            f"{verb} a while loop in Python.",
            "i = 0\nwhile i < 5:\n    print(i)\n    i += 1",
            "A while loop in Python can be written as follows:\n",
        )
    text = f"{verb} a while loop in Python that prints the numbers 0 to {n - 1}."
    return Task(text, f"i = 0\nwhile i < {n}:\n    print(i)\n    i += 1")


def _over_list(rng: Random) -> Task:
    """Loop over a list."""
    name = rng.choice(_LISTS)
    text = f"{rng.choice(_VERBS)} a for loop in Python that prints each item of {name}."
    return Task(text, f"for item in {name}:\n    print(item)")


def _expression(rng: Random) -> Task:
    """Ask for one line about a list or a string."""
    name = rng.choice(_LISTS)
    what, answer = rng.choice(
        (
            (f"computes the sum of the list {name}", f"sum({name})"),
            (f"finds the largest item of the list {name}", f"max({name})"),
            (f"finds the smallest item of the list {name}", f"min({name})"),
            (f"counts the items of the list {name}", f"len({name})"),
            (f"sorts the list {name}", f"sorted({name})"),
            (f"reverses the list {name}", f"{name}[::-1]"),
            (f"takes the first item of the list {name}", f"{name}[0]"),
            (f"takes the last item of the list {name}", f"{name}[-1]"),
            (f"squares each item of the list {name}", f"[x**2 for x in {name}]"),
            (f"doubles each item of the list {name}", f"[2 * x for x in {name}]"),
            (f"prints the list {name}", f"print({name})"),
        )
    )
    return Task(f"{rng.choice(_VERBS)} a line of Python that {what}.", answer)


def _function(rng: Random) -> Task:
    """Ask for a function of one line."""
    what, signature, value = rng.choice(
        (
            ("adds two numbers", "add(a, b)", "a + b"),
            ("subtracts two numbers", "subtract(a, b)", "a - b"),
            ("multiplies two numbers", "multiply(a, b)", "a * b"),
            ("squares a number", "square(x)", "x * x"),
            ("doubles a number", "double(x)", "2 * x"),
            ("checks if a number is even", "is_even(n)", "n % 2 == 0"),
            ("checks if a number is odd", "is_odd(n)", "n % 2 == 1"),
            ("returns the length of a list", "length(items)", "len(items)"),
            ("reverses a string", "reverse(text)", "text[::-1]"),
            ("returns the larger of two numbers", "larger(a, b)", "max(a, b)"),
        )
    )
    text = f"{rng.choice(_VERBS)} a Python function that {what}."
    return Task(text, f"def {signature}:\n    return {value}")
