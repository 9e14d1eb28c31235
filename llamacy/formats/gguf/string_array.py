"""Fast reading of GGUF's string arrays.

A string is a uint64 length and as many bytes of UTF-8. Strings follow each other
without an index, so that a string's place is known only once all before it were read.
A vocabulary has hundreds of thousands of strings: too many to walk one by one in
Python. Instead, the places of all lengths in a window are guessed at once: a length
ends in zero bytes, which text hardly contains. Each guess is then checked to lead to
the next one, and the window is decoded and split in one go. Strings that do not match
are read one by one, so that the guesses affect the speed, never the result.
"""

from __future__ import annotations

import mmap
import struct

import numpy as np
from numpy.typing import NDArray

_LENGTHS = {order: struct.Struct(f"{order}Q") for order in "<>"}
_SMALL_WINDOW = 1 << 12  # bytes
_LARGE_WINDOW = 1 << 20  # bytes; lengths within it fit into three bytes
_MIN_RUN = 16  # strings; guessing does not pay below
_MAX_SINGLE = 1 << 12  # strings read one by one before guessing again


class StringArrayError(ValueError):
    """A string cannot be read.

    Parameters
    ----------
    index : int
        Index of the string in the array.
    wanted : str
        The value that was expected there.
    found : str
        The value that is there.
    """

    def __init__(self, index: int, wanted: str, found: str) -> None:
        self.index = index
        self.wanted = wanted
        self.found = found
        super().__init__(index, wanted, found)


def read_strings(
    data: bytes | mmap.mmap, start: int, count: int, end: int, order: str = "<"
) -> tuple[list[str], int]:
    """Read `count` strings.

    Parameters
    ----------
    data : bytes or mmap.mmap
        The file.
    start : int
        Offset of the first string's length, in bytes.
    count : int
        Number of strings.
    end : int
        Offset beyond which no string may reach.
    order : str
        The order of the bytes of lengths, as `struct` writes it: "<" or ">". Strings of
        the latter, which are rare, are read one by one.

    Returns
    -------
    strings : list of str
        The strings.
    at : int
        Offset after the last string.

    Raises
    ------
    StringArrayError
        A string reaches beyond `end` or is not UTF-8.
    """
    strings: list[str] = []
    if order == ">":
        for index in range(count):
            text, start = _read_one(data, start, end, index, order)
            strings.append(text)
        return strings, start
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
        # more and more at a time, so that hostile arrays cost little more than a walk
        window_size, n_single = _SMALL_WINDOW, min(2 * n_single, _MAX_SINGLE)
    return strings, at


def _guess_heads(window: bytes, most: int) -> tuple[NDArray[np.intp], int]:
    """Return offsets of the lengths of consecutive strings.

    Returns
    -------
    heads : int, (n,)
        Offsets of the lengths, at most `most`, the first one 0; checked to lead from
        one to the next.
    n_used : int
        Bytes that these strings occupy.
    """
    none = np.empty(0, np.intp), 0
    if len(window) < 9:
        return none
    is_text = np.frombuffer(window, np.uint8) != 0
    heads = np.flatnonzero(is_text[8:] & ~is_text[7:-1])
    if not len(heads) or heads[0] != 0:
        return none
    # a uint64 at every byte, aligned or not
    words = np.ndarray(len(window) - 7, "<u8", window, strides=(1,))
    lengths = np.minimum(words[heads], len(window)).astype(np.intp)
    ends = heads + 8 + lengths
    breaks = np.flatnonzero(heads[1:] != ends[:-1])
    n = min(most, int(breaks[0]) + 1 if len(breaks) else len(heads))
    if ends[n - 1] > len(window):
        n -= 1
    return (heads[:n], int(ends[n - 1])) if n else none


def _cut(window: bytes, heads: NDArray[np.intp], index: int) -> list[str]:
    """Decode the strings of a window whose lengths are at `heads`.

    The lengths are overwritten with zeros, which separate the strings unless one of
    them contains U+0000.
    """
    raw = np.frombuffer(window, np.uint8).copy()
    for byte in range(3):
        raw[heads + byte] = 0
    if np.count_nonzero(raw) == len(raw) - 8 * len(heads):
        try:
            return raw.tobytes().decode().split("\0" * 8)[1:]
        except UnicodeDecodeError:
            pass  # read one by one below, to name the faulty string
    return [
        _read_one(window, head, len(window), index + i)[0]
        for i, head in enumerate(heads.tolist())
    ]


def _read_one(
    data: bytes | mmap.mmap, at: int, end: int, index: int, order: str = "<"
) -> tuple[str, int]:
    """Read one string; return it and the offset after it."""
    first = at + 8
    if first > end:
        raise StringArrayError(
            index, "8 bytes of length", f"{end - at} bytes before the end"
        )
    length = _LENGTHS[order].unpack_from(data, at)[0]
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
