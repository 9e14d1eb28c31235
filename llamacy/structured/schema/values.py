"""Constants of a schema: values that a text can hold exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamacy.structured.schema.places import Place

MAX_EXACT: Final = 2**53
"""The largest integer up to which a double holds all: JSON's numbers are doubles."""

_ESCAPED: Final = frozenset("\b\t\n\f\r")


def check_text(text: object, at: Place) -> str:
    r"""Return a text that strings of the constraint can hold.

    Control characters without an escape of one letter would need ``\u``, which is not
    allowed: it could spell a declared key anew.
    """
    if not isinstance(text, str):
        at.refuse("a string", text)
    for character in text:
        is_control = character < " " or character == "\x7f"
        if is_control and character not in _ESCAPED:
            at.refuse("text without control characters", text)
        if "\ud800" <= character <= "\udfff":
            at.refuse("Unicode text", text)
    return text


def checked_value(value: Any, at: Place) -> Any:
    """Return a constant whose text every reader takes for the same value.

    Raises
    ------
    ConstraintError
        It has a number that a double does not hold, or is no JSON.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not abs(value) <= MAX_EXACT:  # nor is NaN
            at.refuse("numbers from -2**53 to 2**53: longer ones as strings", value)
        return value
    if isinstance(value, str):
        return check_text(value, at)
    if isinstance(value, Mapping):
        return {
            check_text(key, at): checked_value(item, at / str(key))
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [checked_value(item, at / i) for i, item in enumerate(value)]
    at.refuse("a JSON value", value)


def canonical(value: Any) -> object:
    """Return a hashable that is equal for constants that are equal in JSON schema."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, Mapping):
        return frozenset((key, canonical(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(canonical(item) for item in value)
    return value
