"""The recurrent layers of a model in a GGUF file."""

from __future__ import annotations

from typing import Final

from llamacy.config import ShortConvConfig
from llamacy.formats.gguf.keys import Keys

_MAX_KERNEL: Final = 256


def read_recurrence(keys: Keys) -> ShortConvConfig:
    """Read the mixer that all recurrent layers of a model have.

    Raises
    ------
    FormatError
        A size is missing, or out of range.
    """
    return ShortConvConfig(keys.integer(".shortconv.l_cache", 2, _MAX_KERNEL))
