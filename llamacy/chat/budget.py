"""How much a template may do: it comes with a file from anywhere.

Jinja's sandbox keeps a template from reaching out. Nothing in it keeps a template from
going on for ever, or from filling the memory, so its syntax tree is changed before it
is compiled: every turn of a loop and every call of a macro is counted, and so is every
character it puts together. What filters and methods make is counted in
:mod:`llamacy.chat.growth`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError

_MAX_STEPS = 200_000
_MAX_CHARACTERS = 2**26
_MAX_SECONDS = 20.0  # for what is slow within a step; all others take milliseconds
_LONG = 10_000  # bits of a whole number, beyond any use
_SIZED = (str, bytes, list, tuple, dict)


class Budget:
    """What one rendering may still use."""

    def __init__(self) -> None:
        self._n_steps = 0
        self._n_characters = 0
        self._end = monotonic() + _MAX_SECONDS

    def step(self) -> None:
        """Count a turn of a loop, or a call."""
        self._n_steps += 1
        if self._n_steps > _MAX_STEPS:
            raise SecurityError(f"it takes more than {_MAX_STEPS} steps")
        if monotonic() > self._end:
            raise SecurityError(f"it takes more than {_MAX_SECONDS:.0f} seconds")

    def spend(self, n_characters: int) -> None:
        """Count characters that are put together."""
        self._n_characters += n_characters
        if self._n_characters > _MAX_CHARACTERS:
            raise SecurityError(f"it makes more than {_MAX_CHARACTERS} characters")


_current: ContextVar[Budget] = ContextVar("budget")


@contextmanager
def a_budget() -> Iterator[None]:
    """Give what is rendered in the ``with`` block a budget of its own."""
    token = _current.set(Budget())
    try:
        yield
    finally:
        _current.reset(token)


def step() -> None:
    """Count a call."""
    _current.get().step()


def spend(n_characters: int) -> None:
    """Count characters that are put together."""
    _current.get().spend(n_characters)


def entered(n_constant: int) -> None:
    """Count a turn of a loop or a macro, which has so many characters of its own."""
    step()
    spend(n_constant)


def check_operands(operator: str, left: Any, right: Any) -> None:
    """Count what an operation will make, before it does."""
    budget = _current.get()
    if operator == "+" and isinstance(left, _SIZED) and isinstance(right, _SIZED):
        budget.spend(len(left) + len(right))
    elif operator == "*":
        for many, times in ((left, right), (right, left)):
            if isinstance(many, _SIZED) and isinstance(times, int):
                budget.spend(len(many) * max(times, 0))
    for one in (left, right):
        if operator in ("*", "**") and isinstance(one, int):
            if one.bit_length() > (_LONG if operator == "*" else 10):
                raise SecurityError(f"it calculates with {operator} of large numbers")


def count_steps(tree: nodes.Template) -> None:
    """Put the counting into a template's syntax tree."""
    kinds = (nodes.For, nodes.Macro, nodes.CallBlock)
    parts: list[Any] = list(tree.find_all(kinds))
    for part in parts:
        n_constant = sum(len(text.data) for text in part.find_all(nodes.TemplateData))
        call = _call("entered", nodes.Const(n_constant))
        part.body.insert(0, nodes.ExprStmt(call))
    for joined in list(tree.find_all(nodes.Concat)):
        joined.nodes = [_call("counted", one) for one in joined.nodes]


def _call(name: str, argument: nodes.Expr) -> nodes.Call:
    """Call of a function that is an attribute of the environment."""
    return nodes.Call(nodes.EnvironmentAttribute(name), [argument], [], None, None)
