"""Strings: lengths, patterns and formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamacy.structured.schema.patterns import (
    MAX_COPIES,
    MAX_LENGTH,
    has_sets,
    n_copies,
)
from llamacy.structured.schema.places import Place

_LEAP: Final = (
    r"(\d\d(0[48]|[2468][048]|[13579][26])|([02468][48]|[13579][26]|[2468]0)00)"
)
_DATE: Final = (
    r"((\d{3}[1-9]|\d\d[1-9]\d|\d[1-9]\d\d|[1-9]\d{3})-"  # no year 0000
    r"((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|"
    r"02-(0[1-9]|1\d|2[0-8]))|" + _LEAP + "-02-29)"
)
_TIME: Final = (
    r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)"
)

_PATTERNS: Final = {
    "date": f"^{_DATE}$",
    "time": f"^{_TIME}$",
    "date-time": f"^{_DATE}T{_TIME}$",
    "json-pointer": r"^(/([^~/]|~[01])*)*$",
}
"""Formats that llguidance has no form of, or a wider one: February's 30th, say."""

_KNOWN: Final = frozenset("duration email hostname ipv4 ipv6 uuid uri unknown".split())
"""Formats that llguidance has the form of."""

_HINTS: Final = frozenset(
    "binary byte double file-path float int32 int64 json-string multi-line password "
    "path directory-path text textarea".split()
)
"""Formats of other vocabularies, which say nothing about how a string is written."""

MAX_COUNT: Final = 10**9


def string_keywords(
    node: Mapping[str, Any], at: Place, *, is_lenient: bool
) -> dict[str, Any]:
    """Return lengths, pattern and format of a schema, as llguidance enforces them."""
    found: dict[str, Any] = {**counts(node, at, "minLength", "maxLength")}
    if "pattern" in node:
        found["pattern"] = schema_pattern(node["pattern"], at / "pattern")
    if "format" not in node:
        return found
    name = node["format"]
    if not isinstance(name, str):
        (at / "format").refuse("the name of a format", name)
    if name in _PATTERNS and "pattern" in found:
        found["allOf"] = [{"type": "string", "pattern": _PATTERNS[name]}]
    elif name in _PATTERNS:
        found["pattern"] = _PATTERNS[name]
    elif name in _KNOWN:
        found["format"] = name
    elif name not in _HINTS and not is_lenient:
        known = ", ".join(sorted({*_PATTERNS, *_KNOWN} - {"unknown"}))
        (at / "format").refuse(f"one of {known}", name)
    return found


def schema_pattern(pattern: object, at: Place) -> str:
    """Return a regular expression that means the same to JSON schema and to Rust.

    Raises
    ------
    ConstraintError
        It is no string, grows too large, or has a class that Rust reads otherwise.
    """
    checked = checked_pattern(pattern, at)
    if has_sets(checked):
        at.refuse(r"classes with \[ for [, and without &&, -- and ~~", checked)
    return checked


def checked_pattern(pattern: object, at: Place) -> str:
    """Return a regular expression that does not grow too large.

    Raises
    ------
    ConstraintError
        It is no string, or grows too large.
    """
    if not isinstance(pattern, str):
        at.refuse("a regular expression", pattern)
    if len(pattern) > MAX_LENGTH:
        at.refuse_size(f"at most {MAX_LENGTH} characters", f"{len(pattern)}")
    if (n := n_copies(pattern)) > MAX_COPIES:
        at.refuse_size(f"at most {MAX_COPIES} copies of a part", f"{n} of {pattern}")
    return pattern


def counts(node: Mapping[str, Any], at: Place, low: str, high: str) -> dict[str, int]:
    """Return a lower and an upper count, whichever a schema has."""
    found: dict[str, int] = {}
    for name in (low, high):
        if name not in node:
            continue
        value = node[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or value != value // 1 or value < 0:
            (at / name).refuse("a number of at least 0", value)
        if value > MAX_COUNT and name == low:
            (at / name).refuse_size(f"at most {MAX_COUNT}", value)
        found[name] = min(int(value), MAX_COUNT)
    if found.get(low, 0) > found.get(high, MAX_COUNT):
        at.refuse(f"{low} of at most {found[high]}", found[low])
    return found
