"""From a model to a smaller file: `quantize`, its way through the formats."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from llamacy.arguments import check_callback, checked_path
from llamacy.formats.gguf.config import read_architecture
from llamacy.formats.gguf.copying import write_model
from llamacy.formats.requantized import RequantizedFile
from llamacy.ggml.file_types import find_file_type
from llamacy.model_files.opening import open_model
from llamacy.model_files.sources import find_source
from llamacy.system.threads import checked_threads

Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class QuantizedFile:
    """What :func:`quantize` wrote.

    Attributes
    ----------
    path : the new file.
    type : its file type.
    n_params : weights of all tensors.
    source_bytes, target_bytes : of all tensors, before and after.
    tensor_types : how many tensors there are of each type, in the new file.
    """

    path: str
    type: str
    n_params: int
    source_bytes: int
    target_bytes: int
    tensor_types: dict[str, int]


def quantize(
    source: Path,
    target: Path,
    type: str,
    *,
    n_threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> QuantizedFile:
    """Write a model with its weights in another type.

    All metadata stay as they are, but for those that say the type. A file that
    `target` names already is replaced once the new one is complete; if anything
    fails, it stays as it is.

    Parameters
    ----------
    source : path of a GGUF file, a name on the hub, or ``"demo"``; of a split model,
        the path of any part. Or path of a folder as :func:`convert` takes it.
    target : path of the file to write, one file in any case.
    type : a file type, named as llama.cpp's: ``"Q4_K_M"``, ``"Q8_0"``, ``"F16"``.
    n_threads : threads to compute with; None is one for each physical core this
        process may use. The file does not depend on it.
    progress : called with the share done, 0.0 to 1.0.

    Raises
    ------
    ArgumentError : an unknown type or a bad option, or `target` is a file of
        `source`.
    ModelFileError : a file cannot be read or written; the disk is full.
    FormatError : `source` is not a sound model, or has weights that cannot be
        quantised: not finite, or too large.

    Examples
    --------
    >>> quantize("llama-F16.gguf", "llama-Q4_K_M.gguf", "Q4_K_M")  # doctest: +SKIP
    """
    find_file_type(type)  # before a model is fetched
    n_threads = checked_threads(n_threads)
    check_callback("progress", progress)
    new_path = checked_path("target", target)
    found = find_source(source)
    file_type = found.file_type(type, "type")
    assert file_type is not None
    with (
        open_model(found.path) as file,
        RequantizedFile(file, file_type, n_threads) as requantized,
    ):
        read_architecture(file)  # no model without one
        tensors = write_model(requantized, new_path, progress)
        sources = file.tensors.values()
        return QuantizedFile(
            path=new_path,
            type=file_type.name,
            n_params=sum(math.prod(tensor.shape) for tensor in sources),
            source_bytes=sum(tensor.n_bytes for tensor in sources),
            target_bytes=sum(tensor.n_bytes for tensor in tensors),
            tensor_types=dict(Counter(tensor.type.name for tensor in tensors)),
        )
