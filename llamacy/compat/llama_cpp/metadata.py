"""A file's metadata in llama-cpp-python's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def metadata_texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return a file's metadata as text in llama.cpp's format, without arrays."""
    return {
        key: _as_text(value)
        for key, value in metadata.items()
        if not isinstance(value, list | tuple | np.ndarray)
    }


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:f}" if isinstance(value, float) else str(value)
