"""Regular expressions: how large they grow, and whether they mean the same to all."""

from __future__ import annotations

import re
from typing import Final

MAX_COPIES: Final = 20_000
"""Most copies that nested counts may make of a part: each may become states."""

MAX_LENGTH: Final = 20_000
"""Most characters of an expression."""

_ESCAPED: Final = re.compile(r"\\.", re.DOTALL)
_CLASS: Final = re.compile(r"\[([^\]]*)")
_SET: Final = re.compile(r"\[|&&|--|~~")
_COUNT: Final = re.compile(r"\{(\d{1,9})(,(\d{0,9}))?\}")


def n_copies(expression: str) -> int:
    r"""Count the copies that counted repetitions make of the innermost part.

    Examples
    --------
    >>> n_copies("(a{3}b){10}c{5}")
    30
    >>> n_copies(r"[a{99}]\{99}")
    1
    """
    most = [1]  # of each open group, and of the whole
    last = 1  # of the item before
    at = 0
    while at < len(expression):
        character = expression[at]
        if character == "\\":
            last, at = 1, at + 2
        elif character == "[":
            last, at = 1, _behind_class(expression, at)
        elif character == "(":
            most.append(1)
            at += 1
        elif character == ")":
            last = most.pop() if len(most) > 1 else last
            at += 1
        elif character == "{" and (count := _COUNT.match(expression, at)):
            last *= max(int(count[1]), int(count[3] or 0), 1)
            at = count.end()
        else:
            last = last if character in "*+?" else 1
            at += 1
        most[-1] = max(most[-1], last)
    return max(most)


def has_sets(expression: str) -> bool:
    r"""Whether a class of characters has others in it, as Rust's may.

    Examples
    --------
    >>> has_sets("[[a-z]&&x]"), has_sets(r"[\[a-z]&&--")
    (True, False)
    """
    plain = _ESCAPED.sub("x", expression)
    return any(_SET.search(inner) for inner in _CLASS.findall(plain))


def _behind_class(expression: str, at: int) -> int:
    """Return the place behind a class of characters, which may hold others."""
    depth = 0
    while at < len(expression):
        character = expression[at]
        at += 2 if character == "\\" else 1
        depth += (character == "[") - (character == "]")
        if not depth:
            break
    return at
