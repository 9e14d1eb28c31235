"""Counting the text that a template's filters and methods will make, in advance.

Most make no more text than they are given, which was counted when it was made. But
`join` and `replace` copy a long text to many places, a list may hold the same list many
times, and a width is only a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Final

from jinja2.exceptions import SecurityError

from llamacy.chat.budget import length, spend

_MAX_WIDTH: Final = 10_000
_WIDE: Final = re.compile(
    r"%(?:\([^()]*\))?[-+ #.\d]*(?:\d{5}|\*)"  # "%99999d", "%*d"
    r"|\{[\w.\[\]]*(?:![rsa])?:[^{}]*(?:\d{5}|\{)"  # "{:99999}", "{:{}}"
)
_ITEM, _CONTAINER = 8, 64  # the time they take, expressed in characters
_FORMATTING: Final = {"%", "format", "format_map"}
_WIDENING: Final = frozenset(
    "batch center expandtabs indent ljust rjust slice to_bytes tojson zfill".split()
)
"""Filters and methods whose integer arguments are widths."""

_PIECES: Final = {"wordwrap": 64, "urlize": 64, "title": 16, "list": 8} | dict.fromkeys(
    ("split", "rsplit", "splitlines", "wordcount", "batch", "slice"), 8
)
"""By filter or method: the time and memory for each character of a text, in characters.

A piece of text, or the place of one in a list, takes several times the memory of its
characters, and Python wraps lines or finds links in microseconds.
"""

_DEFAULTS: Final = {"default", "d"}
"""Filters whose arguments are only returned."""

_ITERATING: Final = {"join", "tojson"}
"""Filters that are given a list in place of an iterator, which would be used up."""

_WRITING: Final = frozenset(
    "capitalize center e escape forceescape format indent join lower pprint replace "
    "safe string striptags title tojson trim truncate upper urlencode urlize wordcount "
    "wordwrap xmlattr".split()
)
"""Filters that turn their argument into text."""

_COMPARING: Final = frozenset("dictsort groupby max min sort sum unique".split())
"""Filters that compare or hash items, or add them to each other."""

_LOOKING: Final = frozenset("changed count get index".split())
"""Methods of containers and loops that compare or hash their arguments."""

COMPARING_TESTS: Final = (
    *("eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<="),
    *("gt", "greaterthan", ">", "ge", ">=", "in"),
)
_CONTAINERS: Final = (list, tuple, dict, set)


def count_characters(value: object) -> int:
    """Count and spend the characters of a value as text, its items included."""
    total = 0
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            n_characters = _CONTAINER + length(item)
            pending += item.keys()
            pending += item.values()
        elif isinstance(item, list | tuple | set):
            n_characters = _CONTAINER
            pending += item
        else:
            n_characters = len(item) if isinstance(item, str | bytes) else _ITEM
        spend(n_characters)
        total += n_characters
    return total


def count_container(value: object) -> Any:
    """Return a value; of a container that will be compared, count all items."""
    if isinstance(value, _CONTAINERS):
        count_characters(value)
    return value


def counting_test(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a test that compares, changed to count containers before."""

    @wraps(function)
    def counting(*operands: Any) -> Any:
        return function(*map(count_container, operands))

    return counting


def counting_filter(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the filter `function`, changed to count its output before making it."""
    n_hidden = int(hasattr(function, "jinja_pass_arg"))  # Jinja's own argument

    @wraps(function)
    def counting(*arguments: Any, **options: Any) -> Any:
        hidden, (value, *others) = arguments[:n_hidden], arguments[n_hidden:]
        spend(_ITEM)
        if name in _ITERATING or name in _COMPARING:
            value = without_iterator(value)
        if name in _WRITING or name in _COMPARING:
            count_characters(value)
        if name not in _DEFAULTS:
            for other in (*others, *options.values()):
                count_container(other)
        check(name, value, [*others, *options.values()])
        return function(*hidden, value, *others, **options)

    return counting


def check_method(function: object, arguments: list[Any]) -> None:
    """Count the output of a method; for `join`, replace an iterator by a list."""
    name = getattr(function, "__name__", None)
    owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
    if function is dict or name in _LOOKING:
        for argument in (owner, *arguments):
            count_container(argument)
    if name == "append" and isinstance(owner, list):
        for argument in arguments:
            _check_apart(argument, owner)
    if not isinstance(owner, str | bytes | int):
        return
    if name == "join" and arguments:
        arguments[0] = without_iterator(arguments[0])
        count_characters(arguments[0])
        check(name, arguments[0], [owner])
    elif isinstance(name, str):
        check(name, owner, arguments)


def _check_apart(value: object, owner: list[Any]) -> None:
    """Check that a list may get an item: one that has the list in it would be endless.

    Raises
    ------
    SecurityError
        The item is the list, or contains it.
    """
    count_container(value)
    pending = [value]
    while pending:
        item = pending.pop()
        if item is owner:
            raise SecurityError("it puts a list into itself")
        if isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list | tuple | set):
            pending += item


def check(name: str, value: object, others: list[Any]) -> None:
    """Count the text that the filter, method or operator `name` adds to `value`.

    Raises
    ------
    SecurityError
        The text would be too long.
    """
    if name in _FORMATTING and _WIDE.search(str(value)):
        raise SecurityError("it formats to more characters than a template needs")
    widths = [abs(other) for other in others if isinstance(other, int)]
    if name not in _WIDENING:
        widths = []
    for width in widths:
        if width > _MAX_WIDTH:
            raise SecurityError(f"it pads text to {width} characters")
    if name in _PIECES:
        spend(_PIECES[name] * _length(value))
    if name == "sum" and any(isinstance(other, _CONTAINERS) for other in others):
        # each addition copies what there is
        spend(len(without_iterator(value)) * count_characters(value) // (2 * _ITEM))
    elif name == "replace":
        spend(_n_replaced(value, others) * max(map(_length, others), default=0))
    elif name in _PLACES:
        n_places = _PLACES[name](value)
        if n_places:
            texts = (count_characters(x) for x in others if not isinstance(x, int))
            spend(n_places * (sum(texts) + sum(widths)))


def without_iterator(value: object) -> Any:
    """Return `value`, or a list of its items if it is an iterator."""
    return list(value) if isinstance(value, Iterator) else value


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | bytes) else _ITEM


def _n_replaced(value: object, others: Iterable[Any]) -> int:
    text, old = str(value), str(next(iter(others), ""))
    return text.count(old) if old else len(text) + 1


def _count_of(*marks: str) -> Callable[[Any], int]:
    return lambda value: sum(str(value).count(mark) for mark in marks)


_PLACES: Final[dict[str, Callable[[Any], int]]] = {
    "expandtabs": _count_of("\t"),
    "format": _count_of("%", "{"),
    "format_map": _count_of("{"),
    "indent": _count_of("\n"),
    "join": lambda items: len(items) if hasattr(items, "__len__") else 0,
    "tojson": lambda value: count_characters(value) // _ITEM,
    "translate": _length,
    "wordwrap": _length,
    "%": _count_of("%"),
}
"""By operation: at most how many times its arguments are copied into the text."""
