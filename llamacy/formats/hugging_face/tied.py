"""Whether a model's embeddings serve as its output matrix, as its tensors have it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import numpy as np

from llamacy.formats.hugging_face.experts import Source
from llamacy.formats.hugging_face.tensor_names import HEAD

_EMBEDDING: Final = "model.embed_tokens"
_PIECE: Final = 1 << 24  # bytes compared at once

_logger = logging.getLogger("llamacy")


def is_untied(tensors: dict[str, Source], path: Path) -> bool:
    """Whether a model said to be tied has an output matrix of other values.

    It keeps both then, as in transformers. A model with the output matrix alone gets
    that for its embeddings too.
    """
    embedding = tensors.get(f"{_EMBEDDING}.weight")
    head = tensors.get(f"{HEAD}.weight")
    if head is None:
        return False
    if embedding is None:
        tensors[f"{_EMBEDDING}.weight"] = tensors.pop(f"{HEAD}.weight")
        return False
    if _are_equal(embedding, head):
        return False
    _logger.warning(
        "%s: tie_word_embeddings is true, but %s.weight and %s.weight differ: the "
        "model keeps both, as in transformers",
        path,
        HEAD,
        _EMBEDDING,
    )
    return True


def _are_equal(one: Source, other: Source) -> bool:
    """Compare two tensors, a piece at a time."""
    if one.shape != other.shape:
        return False
    a, b = (each.data.reshape(-1) for each in (one, other))
    try:
        return len(a) == len(b) and all(
            np.array_equal(a[at : at + _PIECE], b[at : at + _PIECE])
            for at in range(0, len(a), _PIECE)
        )
    finally:
        one.release()
        other.release()
