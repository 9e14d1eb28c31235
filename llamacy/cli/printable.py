"""Texts from files and command lines, which a terminal must not take for commands."""

from __future__ import annotations

import re

_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, turns of the direction of writing, and halves of surrogates."""


def printable(text: str) -> str:
    r"""Return a text of one line with escapes in place of control characters.

    >>> print(printable("\x1b[31mred.gguf"))
    \x1b[31mred.gguf
    """
    return _UNFIT.sub(lambda match: ascii(match[0])[1:-1], text)
