"""What filters and methods of a template make of little, counted before they do so.

Most make no more text than they are given, and that was counted when it was made. But
``join`` and ``replace`` put a long text in many places, lists hold the same list many
times, and widths are but numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, Final

from jinja2.exceptions import SecurityError

from llamacy.chat.budget import spend

_MAX_WIDTH: Final = 10_000
_WIDE: Final = re.compile(
    r"%(?:\([^()]*\))?[-+ #.\d]*(?:\d{5}|\*)"  # "%99999d", "%*d"
    r"|\{[\w.\[\]]*(?:![rsa])?:[^{}]*(?:\d{5}|\{)"  # "{:99999}", "{:{}}"
)
_ITEM, _CONTAINER = 8, 64  # characters that stand for the time they take
_FORMATTING: Final = {"%", "format", "format_map"}
_WIDENING: Final = {
    *("batch", "center", "expandtabs", "indent", "ljust", "rjust", "slice"),
    *("to_bytes", "tojson", "zfill"),
}
"""Those whose numbers are widths."""

_LISTING: Final = {"join", "tojson"}
"""Filters that are given a list in place of what can be read only once."""

_WRITING: Final = {
    *("capitalize", "center", "e", "escape", "forceescape", "format", "indent"),
    *("join", "lower", "pprint", "replace", "safe", "string", "striptags", "title"),
    *("tojson", "trim", "truncate", "upper", "urlize", "wordcount", "wordwrap"),
    "xmlattr",
}
"""Filters that make a text of whatever they are given."""


def measured(value: object) -> int:
    """Count the characters a value is written with; those of its items are its own."""
    total = 0
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            n_characters = _CONTAINER
            left += one.keys()
            left += one.values()
        elif isinstance(one, list | tuple | set):
            n_characters = _CONTAINER
            left += one
        else:
            n_characters = len(one) if isinstance(one, str | bytes) else _ITEM
        spend(n_characters)
        total += n_characters
    return total


def counted(filter_name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a filter count what it will make."""
    n_hidden = int(hasattr(function, "jinja_pass_arg"))  # Jinja's own argument

    @wraps(function)
    def counting(*given: Any, **options: Any) -> Any:
        hidden, (value, *others) = given[:n_hidden], given[n_hidden:]
        if filter_name in _LISTING:
            value = listed(value)
        if filter_name in _WRITING:
            measured(value)
        check(filter_name, value, [*others, *options.values()])
        return function(*hidden, value, *others, **options)

    return counting


def check_method(function: object, arguments: list[Any]) -> None:
    """Count what a method will make; ``join`` gets a list for what can be read once."""
    name = getattr(function, "__name__", None)
    owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
    if not isinstance(owner, str | bytes | int):
        return
    if name == "join" and arguments:
        arguments[0] = listed(arguments[0])
        measured(arguments[0])
        check(name, arguments[0], [owner])
    elif isinstance(name, str):
        check(name, owner, arguments)


def check(name: str, value: object, others: list[Any]) -> None:
    """Count what a filter, method or operator of that name adds to `value`.

    Raises
    ------
    SecurityError : it is too much.
    """
    if name in _FORMATTING and _WIDE.search(str(value)):
        raise SecurityError("it formats to more characters than a template needs")
    widths = [abs(one) for one in others if isinstance(one, int)]
    if name not in _WIDENING:
        widths = []
    for width in widths:
        if width > _MAX_WIDTH:
            raise SecurityError(f"it widens something to {width} characters")
    if name == "replace":
        spend(_n_replaced(value, others) * max(map(_length, others), default=0))
    elif name in _PLACES:
        n_places = _PLACES[name](value)
        if n_places:
            texts = (measured(one) for one in others if not isinstance(one, int))
            spend(n_places * (sum(texts) + sum(widths)))


def listed(value: object) -> Any:
    """Return a list of what can be read only once."""
    return list(value) if isinstance(value, Iterator) else value


def _length(value: object) -> int:
    return len(value) if isinstance(value, str | bytes) else _ITEM


def _n_replaced(value: object, others: Iterable[Any]) -> int:
    text, old = str(value), str(next(iter(others), ""))
    return text.count(old) if old else len(text) + 1


def _n_of(*marks: str) -> Callable[[Any], int]:
    return lambda value: sum(str(value).count(mark) for mark in marks)


_PLACES: Final[dict[str, Callable[[Any], int]]] = {
    "expandtabs": _n_of("\t"),
    "format": _n_of("%", "{"),
    "format_map": _n_of("{"),
    "indent": _n_of("\n"),
    "join": lambda items: len(items) if hasattr(items, "__len__") else 0,
    "tojson": lambda value: measured(value) // _ITEM,
    "translate": _length,
    "wordwrap": _length,
    "%": _n_of("%"),
}
"""How often what is given may come to stand in a text, by what does it."""
