"""Arrays of strings as GGUF stores them, read quickly.

Each string is a uint64 length and that many bytes of UTF-8, one string right after
the other, so where one begins is known only when those before it were read. A
vocabulary has hundreds of thousands: too many to walk one by one. Headers are
therefore guessed for a whole window at once (seven zero bytes do not occur in
text), the guesses are checked to lead from one to the next, and the window is
decoded and cut in one go. What does not fit the pattern is read one by one, so the
guessing decides the speed, never the result.
"""

from __future__ import annotations

import mmap
import struct

import numpy as np
from numpy.typing import NDArray

_LENGTH = struct.Struct("<Q")
_SMALL_WINDOW = 1 << 12  # bytes
_LARGE_WINDOW = 1 << 20  # bytes; lengths in it fit into three bytes
_MIN_RUN = 16  # strings: below this guessing does not pay
_MAX_SINGLE = 1 << 12  # strings read one by one before guessing again


class StringArrayError(ValueError):
    """A string that cannot be read.

    Parameters
    ----------
    index : which string of the array.
    wanted, found : what was expected there, and what is there.
    """

    def __init__(self, index: int, wanted: str, found: str) -> None:
        self.index = index
        self.wanted = wanted
        self.found = found
        super().__init__(index, wanted, found)


def read_strings(
    data: bytes | mmap.mmap, start: int, count: int, end: int
) -> tuple[list[str], int]:
    """Read `count` strings.

    Parameters
    ----------
    data : the file.
    start : byte of the first string's length.
    count : how many strings.
    end : byte that none may reach beyond.

    Returns
    -------
    The strings, and the byte after the last of them.

    Raises
    ------
    StringArrayError : a string reaches beyond `end` or is not UTF-8.
    """
    strings: list[str] = []
    at, window_size, n_single = start, _SMALL_WINDOW, _MIN_RUN
    while len(strings) < count:
        window = data[at : min(at + window_size, end)]
        heads, n_used = _guess_heads(window, count - len(strings))
        if len(heads) >= min(_MIN_RUN, count - len(strings)):
            strings += _cut(window[:n_used], heads, len(strings))
            at += n_used
            window_size, n_single = min(4 * window_size, _LARGE_WINDOW), _MIN_RUN
            continue
        for _ in range(min(n_single, count - len(strings))):
            text, at = _read_one(data, at, end, len(strings))
            strings.append(text)
        # ever more at a time, so that hostile arrays cost no more than the walk
        window_size, n_single = _SMALL_WINDOW, min(2 * n_single, _MAX_SINGLE)
    return strings, at


def _guess_heads(window: bytes, most: int) -> tuple[NDArray[np.intp], int]:
    """Offsets of the lengths of strings that surely lie one after the other.

    Returns
    -------
    Offsets, at most `most`, the first 0, and the bytes these strings take.
    """
    none = np.empty(0, np.intp), 0
    if len(window) < 9:
        return none
    is_text = np.frombuffer(window, np.uint8) != 0
    heads = np.flatnonzero(is_text[8:] & ~is_text[7:-1])
    if not len(heads) or heads[0] != 0:
        return none
    # every byte begins a uint64 here, aligned or not
    words = np.ndarray(len(window) - 7, "<u8", window, strides=(1,))
    lengths = np.minimum(words[heads], len(window)).astype(np.intp)
    ends = heads + 8 + lengths
    breaks = np.flatnonzero(heads[1:] != ends[:-1])
    n = min(most, int(breaks[0]) + 1 if len(breaks) else len(heads))
    if ends[n - 1] > len(window):
        n -= 1
    return (heads[:n], int(ends[n - 1])) if n else none


def _cut(window: bytes, heads: NDArray[np.intp], index: int) -> list[str]:
    """Decode the strings of a window, whose lengths stand at `heads`.

    The lengths are overwritten with zeros and so become separators, provided that
    there is no other zero: a string may hold U+0000.
    """
    raw = np.frombuffer(window, np.uint8).copy()
    for byte in range(3):
        raw[heads + byte] = 0
    if np.count_nonzero(raw) == len(raw) - 8 * len(heads):
        try:
            return raw.tobytes().decode().split("\0" * 8)[1:]
        except UnicodeDecodeError:
            pass  # one by one below, to name the one at fault
    return [
        _read_one(window, head, len(window), index + i)[0]
        for i, head in enumerate(heads.tolist())
    ]


def _read_one(
    data: bytes | mmap.mmap, at: int, end: int, index: int
) -> tuple[str, int]:
    """Read one string, and the byte after it."""
    first = at + 8
    if first > end:
        raise StringArrayError(
            index, "8 bytes of length", f"{end - at} bytes before the end"
        )
    length = _LENGTH.unpack_from(data, at)[0]
    if length > end - first:
        raise StringArrayError(
            index, f"{length} bytes of text", f"{end - first} bytes before the end"
        )
    try:
        return str(data[first : first + length], "utf-8"), first + length
    except UnicodeDecodeError as error:
        raise StringArrayError(
            index, "UTF-8 text", f"{error.reason} at byte {error.start}"
        ) from None
