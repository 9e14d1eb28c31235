"""Limits on the work of a template, which comes from an untrusted file.

Jinja's sandbox keeps a template from reaching Python's objects, but not from looping
forever or filling the memory. So its syntax tree is changed before it is compiled, to
count each loop iteration, each macro call, each character of text and each container
that is compared or hashed: a list that holds the same list twice, and so on forty
times, takes Python years to compare. The output of filters and methods is counted in
`llamacy.chat.growth`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import thread_time
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import SecurityError

from llamacy.chat.values import CallArguments

_MAX_STEPS = 200_000
_MAX_CHARACTERS = 2**26
_MAX_SECONDS = 4.0  # of this thread; real templates take milliseconds
_CHECKED_EVERY = 64  # looking at the clock takes longer than counting
_LONG = 10_000  # bits of an integer, more than any template needs
_POINTER = 8
_SIZED = (str, bytes, list, tuple, dict)


class Budget:
    """Steps, characters and seconds that one rendering may still use.

    Parameters
    ----------
    given : object
        The template's variables.
    """

    def __init__(self, given: object) -> None:
        self._given = given
        self._given_lists: set[int] | None = None  # their ids
        self._n_steps = 0
        self._n_characters = 0
        self._n_spent = 0
        self._end = thread_time() + _MAX_SECONDS

    def is_given(self, value: list[Any]) -> bool:
        """Say whether a list is one of the caller's, not one of the template's."""
        if self._given_lists is None:
            self._given_lists = set(map(id, _lists_in(self._given)))
        return id(value) in self._given_lists

    def step(self) -> None:
        """Count a loop iteration or a call."""
        self._n_steps += 1
        if self._n_steps > _MAX_STEPS:
            raise SecurityError(f"it takes more than {_MAX_STEPS} steps")
        self._check_time()

    def spend(self, n_characters: int) -> None:
        """Count characters of text."""
        self._n_characters += n_characters
        if self._n_characters > _MAX_CHARACTERS:
            raise SecurityError(f"it makes more than {_MAX_CHARACTERS} characters")
        self._n_spent += 1
        if self._n_spent % _CHECKED_EVERY == 0:
            self._check_time()

    def _check_time(self) -> None:
        if thread_time() >= self._end:
            raise SecurityError(f"it takes more than {_MAX_SECONDS:.0f} seconds")


_current: ContextVar[Budget] = ContextVar("budget")


@contextmanager
def new_budget(given: object) -> Iterator[None]:
    """Give the rendering inside the `with` block a budget of its own.

    Parameters
    ----------
    given : object
        The template's variables, which keep alive the lists in them.
    """
    token = _current.set(Budget(given))
    try:
        yield
    finally:
        _current.reset(token)


def is_given(value: list[Any]) -> bool:
    """Say whether a list is one of the caller's."""
    return _current.get().is_given(value)


def step() -> None:
    """Count a call."""
    _current.get().step()


def spend(n_characters: int) -> None:
    """Count characters of text."""
    _current.get().spend(n_characters)


def enter_block(n_constant: int) -> None:
    """Count one run of the body of a loop or macro and its literal characters."""
    step()
    spend(n_constant)


def check_operands(operator: str, left: Any, right: Any) -> None:
    """Count the result of an operation before it is computed."""
    budget = _current.get()
    if operator == "+" and isinstance(left, _SIZED) and isinstance(right, _SIZED):
        budget.spend(_weight(left) + _weight(right))
    elif operator == "*":
        for repeated, times in ((left, right), (right, left)):
            if isinstance(repeated, _SIZED) and isinstance(times, int):
                budget.spend(_weight(repeated) * max(times, 0))
    for operand in (left, right):
        if operator in ("*", "**") and isinstance(operand, int):
            if operand.bit_length() > (_LONG if operator == "*" else 10):
                raise SecurityError(f"it uses {operator} with too large a number")


def _lists_in(value: object) -> Iterator[list[Any]]:
    """Yield the lists in a value, which is nested as JSON is."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list):
            yield item
            pending += item


def _weight(value: Any) -> int:
    """Return the length of a text, or the bytes of a container's list of items."""
    return length(value) * (_POINTER if isinstance(value, list | tuple) else 1)


def length(value: Any) -> int:
    """Return the length of a text or container, or of the text that it stands for."""
    return len(value.text) if isinstance(value, CallArguments) else len(value)


def count_steps(tree: nodes.Template) -> None:
    """Insert the calls that count into a template's syntax tree."""
    kinds = (nodes.For, nodes.Macro, nodes.CallBlock)
    blocks: list[Any] = list(tree.find_all(kinds))
    for block in blocks:
        n_constant = sum(len(text.data) for text in block.find_all(nodes.TemplateData))
        call = _call("enter_block", nodes.Const(n_constant))
        block.body.insert(0, nodes.ExprStmt(call))
    for concatenation in list(tree.find_all(nodes.Concat)):
        concatenation.nodes = [
            _call("count_value", operand) for operand in concatenation.nodes
        ]
    for comparison in list(tree.find_all(nodes.Compare)):
        _count_operands(comparison)
    for pair in list(tree.find_all(nodes.Pair)):  # of a dict
        if not isinstance(pair.key, nodes.Const):
            pair.key = _call("count_container", pair.key)


def _count_operands(comparison: nodes.Compare) -> None:
    """Count the containers that are compared, unless all but one are constants."""
    owners: list[Any] = [comparison, *comparison.ops]
    if sum(not _is_constant(owner.expr) for owner in owners) > 1:
        for owner in owners:
            owner.expr = _call("count_container", owner.expr)


def _is_constant(operand: nodes.Expr) -> bool:
    if isinstance(operand, nodes.List | nodes.Tuple):
        return all(isinstance(item, nodes.Const) for item in operand.items)
    return isinstance(operand, nodes.Const)


def _call(name: str, argument: nodes.Expr) -> nodes.Call:
    """Return a call of a function that is an attribute of the environment."""
    return nodes.Call(nodes.EnvironmentAttribute(name), [argument], [], None, None)
