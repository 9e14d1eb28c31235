"""From another format to GGUF: `convert`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from llamacy.cpu_count import default_threads
from llamacy.errors import ArgumentError, FormatError
from llamacy.formats.converted import ConvertedFile
from llamacy.formats.file_types import find_file_type
from llamacy.formats.gguf_copy import write_model
from llamacy.formats.model_file import ModelFile
from llamacy.formats.requantized import RequantizedFile
from llamacy.model_files import open_model
from llamacy.sampling.checks import check_callback, checked_integer
from llamacy.sources import locate

Path = str | os.PathLike[str]

_MAX_THREADS = 1024


def convert(
    source: Path,
    target: Path,
    type: str | None = None,
    *,
    n_threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> ConvertedFile:
    """Write a model of another format as a GGUF file.

    Read are folders as Hugging Face has them, with config.json, safetensors and a
    tokenizer. The file has the keys, names and order of rows that llama.cpp's own
    converter gives it; its vectors are float32.

    A file that `target` names already is replaced once the new one is complete; if
    anything fails, it stays as it is.

    Parameters
    ----------
    source : path of the folder.
    target : path of the file to write, one file in any case.
    type : a file type as ``"Q4_K_M"``, named as :func:`quantize` has them; None keeps
        the types of the matrices.
    n_threads : threads that quantise; None is one for each physical core this process
        may use.
    progress : called with the share done, 0.0 to 1.0.

    Raises
    ------
    ArgumentError : an option has a value that cannot be used.
    ModelFileError : a file cannot be read or written, or is missing; the disk is full.
    FormatError : `source` is no such folder, is broken, or (UnsupportedError) has
        something that llamacy does not know.

    Examples
    --------
    >>> convert("SmolLM2-135M", "SmolLM2-135M-Q8_0.gguf", "Q8_0")  # doctest: +SKIP
    """
    path = locate(source)
    file_type = None if type is None else find_file_type(type)
    if n_threads is None:
        n_threads = default_threads()
    n_threads = checked_integer("n_threads", n_threads, 1, _MAX_THREADS)
    if not isinstance(target, str | os.PathLike):
        raise ArgumentError(f"target: wanted a path, found {target!r}")
    check_callback("progress", progress)
    if os.path.isfile(path):
        wanted = "a folder with config.json and safetensors"
        raise FormatError(path, "source", wanted, "a file")
    with ExitStack() as opened:
        file: ModelFile = opened.enter_context(open_model(path))
        if file_type is not None:
            requantized = RequantizedFile(file, file_type, n_threads)
            file = opened.enter_context(requantized)
        tensors = write_model(file, os.fspath(target), progress)
        return ConvertedFile(
            path=os.fspath(target),
            source_format=file.format,
            n_params=sum(math.prod(tensor.shape) for tensor in tensors),
            n_bytes=sum(tensor.n_bytes for tensor in tensors),
            tensor_types=dict(Counter(tensor.type.name for tensor in tensors)),
        )
