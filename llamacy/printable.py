"""Values in error messages: short and printable, whatever a file or a caller gives."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sized
from typing import Final

_MAX_BITS: Final = 256  # of a whole number that messages write out: 78 digits


_UNFIT: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, turns of the direction of writing, and halves of surrogates."""


def printable(text: str) -> str:
    r"""Return a text of one line with escapes in place of control characters.

    A terminal or a log must not take a file's name for a command.

    >>> print(printable("\x1b[31mred.gguf"))
    \x1b[31mred.gguf
    """
    return _UNFIT.sub(lambda match: ascii(match[0])[1:-1], text)


def shown(value: object) -> str:
    """Return a value from a file in short, printable form, for an error message.

    >>> shown("llama"), shown(["a", "b"])
    ('llama', 'an array of 2')
    """
    if isinstance(value, Sized) and not isinstance(value, str | bytes | tuple | dict):
        return f"an array of {len(value)}"
    text = bounded(str, value)
    return text if len(text) <= 80 and text.isprintable() else ascii(text[:80])


def bounded(form: Callable[[object], str], value: object) -> str:
    """Return ``form(value)``, or the kind of a value that cannot be written so.

    Python refuses to write out whole numbers of more than some thousand digits, alone
    or in a list, and the `repr` of a caller's own class may raise anything.

    Parameters
    ----------
    form : {str, repr}
        How to write the value.
    value : object
        Any value.

    Examples
    --------
    >>> bounded(repr, "llama"), bounded(repr, 10**5000), bounded(repr, [10**5000])
    ("'llama'", 'a whole number of about 5001 digits', 'a list')
    """
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        n_digits = int(value.bit_length() * math.log10(2)) + 1
        return f"a whole number of about {n_digits} digits"
    try:
        return form(value)
    except Exception:  # of a __repr__ or __str__ that is not ours
        name = type(value).__name__
        return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"
