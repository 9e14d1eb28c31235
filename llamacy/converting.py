"""From another format to GGUF: `convert` finds out which it is."""

from __future__ import annotations

import math
import os
from collections.abc import Callable

from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.converted import ConvertedFile
from llamacy.formats.legacy.conversion import DEFAULT_CTX, DEFAULT_EPS, convert_legacy
from llamacy.formats.legacy.file import is_legacy
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.other_formats import describe
from llamacy.sampling.checks import check_callback, checked_integer
from llamacy.sources import locate

Path = str | os.PathLike[str]

_MAX_CTX = 2**31 - 1  # positions are int32
_MAX_GQA = 1 << 16


def convert(
    source: Path,
    target: Path,
    *,
    n_ctx: int | None = None,
    eps: float | None = None,
    gqa: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> ConvertedFile:
    """Write a model of another format as a GGUF file.

    Read are the files of 2023 that LLaMA and Alpaca first came in: ``ggml`` without a
    version, ``ggmf`` and ``ggjt`` versions 1 to 3, in one file or several. Weights
    keep their types. Where a block's scale was float32, the nearest float16 is taken,
    off by at most 1 part in 2048 (more below 2**-14, where what is off is too small
    to matter); all else is kept to the bit.

    A file that `target` names already is replaced once the new one is complete; if
    anything fails, it stays as it is.

    Parameters
    ----------
    source : path of the file; of several, that of the first, without a number.
    target : path of the file to write, one file in any case.
    n_ctx : tokens of context the model was trained for, which old files do not say:
        2048 for LLaMA and where nothing is said, 4096 for LLaMA 2.
    eps : epsilon of the norms, likewise: 1e-6 for LLaMA, 1e-5 for LLaMA 2; where
        nothing is said 5e-6, as llama.cpp did, which serves both.
    gqa : query heads to a head of keys and values, 8 for LLaMA 2 70B. The file's
        tensors say it; a number that is not theirs is an error.
    progress : called with the share done, 0.0 to 1.0.

    Raises
    ------
    ArgumentError : an option has a value that cannot be used, or `target` is a file
        of `source`.
    ModelFileError : a file cannot be read or written; a part is missing; the disk is
        full.
    FormatError : `source` is no such file, is broken, or (UnsupportedError) has
        tensors of types that are gone, Q4_2 and Q4_3, or is not a LLaMA.

    Examples
    --------
    >>> convert("ggml-alpaca-7b-q4.bin", "alpaca-7b-Q4_0.gguf")  # doctest: +SKIP
    """
    path = locate(source)
    if not isinstance(target, str | os.PathLike):
        raise ArgumentError(f"target: wanted a path, found {target!r}")
    n_ctx = DEFAULT_CTX if n_ctx is None else n_ctx
    n_ctx = checked_integer("n_ctx", n_ctx, 1, _MAX_CTX)
    eps = _checked_eps(DEFAULT_EPS if eps is None else eps)
    if gqa is not None:
        gqa = checked_integer("gqa", gqa, 1, _MAX_GQA)
    check_callback("progress", progress)
    if is_legacy(path):
        return convert_legacy(
            path, target, n_ctx=n_ctx, eps=eps, gqa=gqa, progress=progress
        )
    file = MappedFile(path)  # whose errors say more about what cannot be read
    try:
        found = "a GGUF file" if file.data[:4] == b"GGUF" else describe(file.data[:64])
    finally:
        file.close()
    raise FormatError(path, "file", "a ggml, ggmf or ggjt file of 2023", found)


def _checked_eps(eps: float) -> float:
    is_number = isinstance(eps, int | float) and not isinstance(eps, bool)
    if not is_number or not math.isfinite(eps) or not 0 <= eps <= 1:
        raise ArgumentError(f"eps: wanted a number from 0 to 1, found {eps!r}")
    return float(eps)
