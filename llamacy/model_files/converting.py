"""Converts models of other formats to GGUF: `convert`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from llamacy.arguments import (
    MAX_CTX,
    check_callback,
    checked_integer,
    checked_path,
    checks_options,
    short,
)
from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.converted import ConvertedFile
from llamacy.formats.gguf.copying import write_model
from llamacy.formats.legacy.file import is_legacy
from llamacy.formats.legacy.model import LegacyModel, open_legacy
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.model_file import ModelFile
from llamacy.formats.other_formats import describe
from llamacy.formats.requantized import RequantizedFile
from llamacy.model_files.opening import open_model
from llamacy.model_files.sources import find_source
from llamacy.system.threads import checked_threads

_MAX_GQA = 1 << 16


@checks_options()
def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    type: str | None = None,
    *,
    n_ctx: int | None = None,
    eps: float | None = None,
    gqa: int | None = None,
    n_threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> ConvertedFile:
    """Write a model of another format as a GGUF file.

    One file then holds everything, for llamacy, llama.cpp and others; quantised on the
    way, it also loads faster. Two kinds of source can be read: folders in Hugging
    Face's layout, with config.json, safetensors and a tokenizer; and the files of 2023
    in which LLaMA and Alpaca first came, ``ggml`` without a version, ``ggmf``, and
    ``ggjt`` versions 1 to 3, in one file or several.

    The new file has the keys, names and order of rows that llama.cpp's converters give
    it. Vectors of a folder become float32. Scales of an old file's blocks, where they
    are float32, become the nearest float16: off by at most 1 part in 2048, or more
    below 2**-14, where the difference is too small to matter.

    An existing `target` is replaced once the new file is complete; if anything fails,
    it is unchanged.

    Parameters
    ----------
    source : str or os.PathLike
        Path of the folder or the file; of several old files, the first, without a
        number. Or the name of such a folder on the hub.
    target : str or os.PathLike
        Path of the file to write; it is one file in any case.
    type : str, optional
        A file type such as ``"Q4_K_M"``, as for `llamacy.quantize`; by default the
        matrices keep their types.
    n_ctx : int, optional
        Tokens of context the model was trained on, which old files do not say: 2048 for
        LLaMA, the default, and 4096 for LLaMA 2.
    eps : float, optional
        Epsilon of the norms, which old files do not say: 1e-6 for LLaMA, 1e-5 for
        LLaMA 2. The default is 5e-6, as in llama.cpp, which serves both.
    gqa : int, optional
        Query heads for each head of keys and values, 8 for LLaMA 2 70B. An old file's
        tensors say it; another number is an error.
    n_threads : int, optional
        Threads that quantise; by default one for each physical core that this process
        may use.
    progress : callable, optional
        Called with the share done, 0.0 to 1.0.

    Returns
    -------
    ConvertedFile
        Size and types of the new file.

    Raises
    ------
    ArgumentError
        An option has an invalid value, or is not for such a source; `target` is a file
        of `source`.
    ModelFileError
        A file is missing, or cannot be read or written, for example because the disk is
        full.
    FormatError
        `source` is neither, or is broken; or UnsupportedError, it has something that
        llamacy does not know.

    Examples
    --------
    >>> made = llamacy.convert("SmolLM2-135M", "SmolLM2-135M-Q8_0.gguf", "Q8_0")
    >>> made.source_format, sorted(made.tensor_types)
    ('safetensors', ['F32', 'Q8_0'])
    """
    found = find_source(source)
    path, file_type = found.path, found.file_type(type, "type")
    n_threads = checked_threads(n_threads)
    new_path = checked_path("target", target)
    check_callback("progress", progress)
    options = _checked_options(n_ctx, eps, gqa)
    with ExitStack() as opened:
        source_file: ModelFile = opened.enter_context(_open(path, options))
        file = source_file
        if file_type is not None:
            requantized = RequantizedFile(file, file_type, n_threads)
            file = opened.enter_context(requantized)
        tensors = write_model(file, new_path, progress)
        n_rounded = 0
        if isinstance(source_file, LegacyModel):
            n_rounded = source_file.n_rounded
        return ConvertedFile(
            path=new_path,
            source_format=source_file.format,
            n_params=sum(math.prod(tensor.shape) for tensor in tensors),
            n_bytes=sum(tensor.n_bytes for tensor in tensors),
            tensor_types=dict(Counter(tensor.type.name for tensor in tensors)),
            n_rounded=n_rounded,
        )


def _open(path: os.PathLike[str], options: dict[str, Any]) -> ModelFile:
    """Open the source with the options of `open_legacy` that the caller gave."""
    if is_legacy(path):
        return open_legacy(path, **options)
    if not os.path.isdir(path):
        wanted = "a folder with config.json and safetensors, or a file from before GGUF"
        raise FormatError(path, "source", wanted, _described(path))
    if options:
        name = next(iter(options))
        raise ArgumentError(f"{name}: config.json says it, wanted None")
    return open_model(Path(path))


def _described(path: os.PathLike[str]) -> str:
    """Describe a file that cannot be converted; raise if it cannot be read."""
    file = MappedFile(Path(path))
    try:
        head = file.data[:64]
        return (
            "a GGUF file, for quantize" if head.startswith(b"GGUF") else describe(head)
        )
    finally:
        file.close()


def _checked_options(
    n_ctx: int | None, eps: float | None, gqa: int | None
) -> dict[str, Any]:
    """Check the options that old files need; return those that are not None."""
    options: dict[str, Any] = {}
    if n_ctx is not None:
        options["n_ctx"] = checked_integer("n_ctx", n_ctx, 1, MAX_CTX)
    if eps is not None:
        is_number = isinstance(eps, int | float) and not isinstance(eps, bool)
        if not is_number or not 0 <= eps <= 1:
            raise ArgumentError(f"eps: wanted a number from 0 to 1, found {short(eps)}")
        options["eps"] = float(eps)
    if gqa is not None:
        options["gqa"] = checked_integer("gqa", gqa, 1, _MAX_GQA)
    return options
