"""From an old file to a GGUF file, tensor by tensor."""

from __future__ import annotations

import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.converted import ConvertedFile
from llamacy.formats.gguf_writer import NewTensor, check_target, write_gguf
from llamacy.formats.legacy.file import LegacyFile
from llamacy.formats.legacy.metadata import new_metadata, new_names

DEFAULT_CTX = 2048
DEFAULT_EPS = 5e-6

_logger = logging.getLogger("llamacy")


def convert_legacy(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    n_ctx: int = DEFAULT_CTX,
    eps: float = DEFAULT_EPS,
    gqa: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> ConvertedFile:
    """Write a file of 2023 as a GGUF file; see :func:`llamacy.convert`.

    Parameters
    ----------
    source : a ``ggml``, ``ggmf`` or ``ggjt`` file; of several, the first.
    target : the file to write.
    n_ctx, eps, gqa : what the old files do not say, see `new_metadata`. The defaults
        are those of llama.cpp's converter: 2048 tokens and 5e-6, which lies between
        LLaMA's 1e-6 and LLaMA 2's 1e-5.
    progress : called with the share done, 0.0 to 1.0.
    """
    with LegacyFile(source) as file:
        names = new_names(file)
        metadata, value_types = new_metadata(
            file, name=Path(source).stem, n_ctx=n_ctx, eps=eps, gqa=gqa
        )
        old = file.tensors.values()
        tensors = [NewTensor(names[each.name], each.type, each.shape) for each in old]
        n_bytes = sum(each.n_bytes for each in tensors)
        check_target(os.fspath(target), file.paths, n_bytes)
        if not file.scores:
            _logger.warning(
                "%s: has no scores of tokens; those of LLaMA's vocabulary are taken",
                source,
            )
        rounded: list[int] = []
        with closing(_all_blocks(file, rounded, progress)) as blocks:
            write_gguf(os.fspath(target), metadata, value_types, tensors, blocks)
        return ConvertedFile(
            path=os.fspath(target),
            source_format=file.version.name,
            n_params=sum(math.prod(each.shape) for each in tensors),
            n_bytes=n_bytes,
            tensor_types=dict(Counter(each.type.name for each in tensors)),
            n_rounded=sum(rounded),
        )


def _all_blocks(
    file: LegacyFile, rounded: list[int], progress: Callable[[float], None] | None
) -> Generator[NDArray[np.uint8], None, None]:
    """Yield the blocks of each tensor; add to `rounded` how many scales were."""
    n_all = sum(math.prod(each.shape) for each in file.tensors.values())
    n_done = 0
    for tensor in file.tensors.values():
        blocks, n_rounded = tensor.blocks()
        yield blocks
        rounded.append(n_rounded)
        n_done += math.prod(tensor.shape)
        if progress is not None:
            progress(n_done / n_all)
