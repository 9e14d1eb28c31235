"""How the weights of a single row, or of a few, are read: the way that this CPU wants.

A token generated alone waits for memory. A Zen 4 reads one long stream best, left to
the CPU's own prefetchers; a Granite Rapids Xeon reads nearly twice as fast if two
streams are prefetched, at `avx2` as well. One level serves both CPUs, so the distance
is an argument of products. Results are the same bits either way. kernels/README.md has
the figures.
"""

from __future__ import annotations

import os
import re
from functools import cache

from llamacy.errors import ArgumentError

__all__ = ["weights_ahead", "weights_ahead_reason"]

_VARIABLE = "LLAMACY_WEIGHTS_AHEAD"
_MOST_AHEAD = 1 << 20

# Bytes by maker, of 1,024 to 8,192 that were tried on a Granite Rapids Xeon: other CPUs
# of Intel have not been measured.
_AHEAD = {"GenuineIntel": 3072}


def weights_ahead() -> int:
    """Return how many bytes ahead weights are prefetched for few rows.

    0 is one stream, prefetched or not as the level does. `LLAMACY_WEIGHTS_AHEAD`
    decides, or else the maker of the CPU.

    Raises
    ------
    ArgumentError
        `LLAMACY_WEIGHTS_AHEAD` is no number of bytes from 0 to a MiB.
    """
    return _selection()[0]


def weights_ahead_reason() -> str:
    """Return in a few words why `weights_ahead` returns that; raises as it does."""
    return _selection()[1]


@cache
def _selection() -> tuple[int, str]:
    from llamacy.kernels.cpu import vendor

    return _choose(os.environ.get(_VARIABLE, ""), vendor())


def _choose(forced: str, vendor: str) -> tuple[int, str]:
    """Choose a distance: the one that is forced, unless it is empty, and say why."""
    if forced:
        if not re.fullmatch("[0-9]{1,7}", forced) or int(forced) > _MOST_AHEAD:
            wanted = f"wanted bytes, 0 to {_MOST_AHEAD}"
            raise ArgumentError(f"{_VARIABLE}: {wanted}, found {forced!r}")
        return int(forced), f"forced by {_VARIABLE}={forced}"
    if vendor in _AHEAD:
        return _AHEAD[vendor], f"the default for {vendor}"
    return 0, "one stream, the default"
