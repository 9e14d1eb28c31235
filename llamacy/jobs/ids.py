"""Requests of a batch have different ids: looked at once, before the model is loaded.

However many there are, few bytes of them are in memory: digests, of some of the ids at
a time where a file is large.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from itertools import islice
from typing import Final

import numpy as np

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.jobs.inputs import Input
from llamacy.jobs.rows import parsed
from llamacy.printable import printable

_PASS_BYTES: Final = 640 * 2**20
"""Bytes of a file whose digests are in memory together: they need a tenth at most."""


def check_ids(source: Input, limit: int | None = None) -> None:
    """Check that no two requests have one `custom_id`.

    Lines that are no requests do not count.

    Parameters
    ----------
    source : Input
        The requests.
    limit : int, optional
        Most rows that are looked at.

    Raises
    ------
    ArgumentError
        Two have the same; the message says which.
    """
    n_passes = -(-source.size // _PASS_BYTES)
    for one in range(n_passes):
        digests = array("Q")
        for _, name in _ids(source, limit):
            digest = _digest(name)
            if digest % n_passes == one:
                digests.append(digest)
        ordered = np.sort(np.frombuffer(digests, np.uint64))
        twice = {int(each) for each in ordered[1:][ordered[1:] == ordered[:-1]]}
        if twice:
            _find(source, limit, twice)


def _find(source: Input, limit: int | None, digests: set[int]) -> None:
    """Find two ids among those that have one of some digests."""
    seen: dict[str, int] = {}
    for index, name in _ids(source, limit):
        if _digest(name) not in digests:
            continue
        if name in seen:
            raise ArgumentError(
                f"{printable(source.file.path)}: rows {seen[name] + 1} and "
                f"{index + 1} have one custom_id: {short(name)}"
            )
        seen[name] = index


def _ids(source: Input, limit: int | None) -> Iterator[tuple[int, str]]:
    for row in islice(source.rows(None), limit):
        assert isinstance(row.content, bytes)
        try:
            name = parsed(row.content).get("custom_id")
        except ArgumentError:  # the row's own
            continue
        if isinstance(name, str):
            yield row.index, name


def _digest(name: str) -> int:
    data = name.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
