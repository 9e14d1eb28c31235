"""Texts that stand in calls without quotes, as terminals of grammars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from llamacy.structured.library import llguidance
from llamacy.structured.schema.places import Place
from llamacy.structured.schema.strings import string_keywords

_GROUPS: Final = {"(": 1, ")": -1}


def text_pattern(node: Mapping[str, Any], at: Place) -> str:
    """Return the terminal of all texts that fit a schema's keywords about strings.

    Raises
    ------
    ConstraintError
        One of them is known to JSON's strings only.
    """
    found = string_keywords(node, at, is_lenient=False)
    if found.get("format", "unknown") != "unknown":
        (at / "format").refuse("a format that calls can be held to", found["format"])
    least, most = found.get("minLength", 0), found.get("maxLength", "")
    parts = [r"/(.|\n)*/"]
    if least or most != "":
        parts = [rf"/(.|\n){{{least},{most}}}/"]
    patterns = [found["pattern"]] if "pattern" in found else []
    patterns += [part["pattern"] for part in found.get("allOf", ())]
    for pattern in patterns:
        parts.append(f"/{llguidance().regex_to_lark(_whole(pattern, at), 'dw')}/")
    return " & ".join(parts)


def _whole(pattern: str, at: Place) -> str:
    """Return the expression of whole texts in which a pattern is found.

    Raises
    ------
    ConstraintError
        The pattern is anchored elsewhere than at its own ends.
    """
    is_begun, is_ended = pattern.startswith("^"), _ends(pattern)
    inner = pattern[is_begun : len(pattern) - is_ended]
    has_anchor, has_choice = _structure(inner)
    if has_anchor or (has_choice and (is_begun or is_ended)):
        (at / "pattern").refuse("anchors at the ends of a pattern only", pattern)
    before, after = ("" if has else r"(.|\n)*" for has in (is_begun, is_ended))
    return f"{before}({inner}){after}"


def _ends(pattern: str) -> bool:
    """Whether a pattern ends with an anchor, which is not escaped."""
    before = pattern.removesuffix("$")
    n_slashes = len(before) - len(before.rstrip("\\"))
    return before != pattern and n_slashes % 2 == 0


def _structure(pattern: str) -> tuple[bool, bool]:
    """Return whether an expression has anchors, and alternatives outside groups."""
    has_anchor = has_choice = is_escaped = is_class = False
    depth = 0
    for character in pattern:
        if is_escaped:
            has_anchor = has_anchor or (character in "bBAzZ" and not is_class)
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif is_class:
            is_class = character != "]"
        elif character == "[":
            is_class = True
        else:
            has_anchor = has_anchor or character in "^$"
            has_choice = has_choice or (character == "|" and not depth)
            depth += _GROUPS.get(character, 0)
    return has_anchor, has_choice
