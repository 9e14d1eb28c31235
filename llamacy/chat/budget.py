"""How much a template may do: it comes with a file from anywhere.

Jinja's sandbox keeps a template from reaching out. Nothing in it keeps a template from
going on for ever, or from filling the memory, so its syntax tree is changed before it
is compiled: every turn of a loop and every call of a macro is counted, and so is every
character it puts together. A template that is set on using up memory may still find a
way, in a filter or a method that makes much of little.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.utils import pass_context

_MAX_STEPS = 200_000
_MAX_CHARACTERS = 2**26
_MAX_SECONDS = 20.0  # for what is slow within a step; all others take milliseconds
_LONG = 10_000  # bits of a whole number, beyond any use
_WIDE = re.compile(r"\d{5}|\*")  # "%99999d", "%*d"
_MAX_WIDTH = 10_000
_WIDENING_METHODS = {"center", "expandtabs", "ljust", "rjust", "zfill"}
_WIDENING_FILTERS = {"batch", "center", "indent", "slice"}
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


def entered(n_constant: int) -> None:
    """Count a turn of a loop or a macro, which has so many characters of its own."""
    _current.get().step()
    _current.get().spend(n_constant)


def counted(value: object) -> object:
    """Count the characters of a value that goes into a text."""
    _current.get().spend(len(value) if isinstance(value, str) else 1)
    return value


@pass_context  # which tells Jinja to call it for constants too, when they are written
def written(context: Context, value: object) -> object:
    """Count the characters of a value that is written out."""
    return counted(value)


def check_operands(operator: str, left: Any, right: Any) -> None:
    """Count what an operation will make, before it does."""
    budget = _current.get()
    if operator == "+" and isinstance(left, _SIZED) and isinstance(right, _SIZED):
        budget.spend(len(left) + len(right))
    elif operator == "*":
        for many, times in ((left, right), (right, left)):
            if isinstance(many, _SIZED) and isinstance(times, int):
                budget.spend(len(many) * max(times, 0))
    elif operator == "%" and isinstance(left, str) and _WIDE.search(left):
        raise SecurityError("it formats to more characters than a template needs")
    for one in (left, right):
        if operator in ("*", "**") and isinstance(one, int):
            if one.bit_length() > (_LONG if operator == "*" else 10):
                raise SecurityError(f"it calculates with {operator} of large numbers")


def check_call(function: object, arguments: Iterable[object]) -> None:
    """Count a call, and look at the widths that a method is called with."""
    _current.get().step()
    if getattr(function, "__name__", None) in _WIDENING_METHODS:
        for one in arguments:
            width(one)


def width(value: object) -> object:
    """Refuse a width that would make too much of a text."""
    if isinstance(value, int) and abs(value) > _MAX_WIDTH:
        raise SecurityError(f"it widens something to {value} characters")
    return value


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
    for used in list(tree.find_all(nodes.Filter)):
        if used.name in _WIDENING_FILTERS:
            used.args = [_call("width", one) for one in used.args]
            for option in used.kwargs:
                option.value = _call("width", option.value)


FUNCTIONS = (entered, counted, width)
"""What is put into templates, by name attributes of their environment."""


def _call(name: str, argument: nodes.Expr) -> nodes.Call:
    """Call of a function that is an attribute of the environment."""
    return nodes.Call(nodes.EnvironmentAttribute(name), [argument], [], None, None)
