"""Quantises a model to a smaller GGUF file: `quantize`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from llamacy.arguments import check_callback, checked_path, checks_options
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
    """Describes the file that `llamacy.quantize` wrote.

    Attributes
    ----------
    path : str
        The new file.
    type : str
        Its file type.
    n_params : int
        Number of weights in all tensors.
    source_bytes : int
        Size of all tensors before, in bytes.
    target_bytes : int
        Size of all tensors after, in bytes.
    tensor_types : dict of str to int
        Number of tensors of each type in the new file.
    """

    path: str
    type: str
    n_params: int
    source_bytes: int
    target_bytes: int
    tensor_types: dict[str, int]


@checks_options()
def quantize(
    source: Path,
    target: Path,
    type: str,
    *,
    n_threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> QuantizedFile:
    """Write a model with its weights in another type, smaller as a rule.

    A smaller model takes less memory and generates faster, at a cost in quality that
    `llamacy.kl_divergence` measures. Quantise from float weights, F16 or F32: what an
    earlier quantisation has lost does not come back. Metadata stay as they are, except
    for the type. An existing `target` is replaced once the new file is complete; if
    anything fails, it is unchanged.

    Parameters
    ----------
    source : str or os.PathLike
        Path of a GGUF file, or of any part of a split one; a folder, as for
        `llamacy.convert`; a name on the hub; or ``"demo"``.
    target : str or os.PathLike
        Path of the file to write; it is one file in any case.
    type : str
        A file type by llama.cpp's name: ``"Q4_K_M"``, ``"Q8_0"``, ``"F16"``.
    n_threads : int, optional
        Threads to compute with; by default one for each physical core that this process
        may use. The file does not depend on it.
    progress : callable, optional
        Called with the share done, 0.0 to 1.0.

    Returns
    -------
    QuantizedFile
        Sizes before and after, and the types of the new tensors.

    Raises
    ------
    ArgumentError
        An unknown type, an invalid option, or `target` is a file of `source`.
    ModelFileError
        A file cannot be read or written, for example because the disk is full.
    FormatError
        `source` is broken, or has weights that cannot be quantised: not finite, or too
        large.

    Examples
    --------
    >>> made = llamacy.quantize("SmolLM2-135M", "SmolLM2-135M-Q8_0.gguf", "Q8_0")
    >>> made.target_bytes < made.source_bytes
    True
    """
    find_file_type(type)  # check before a download
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
        read_architecture(file)  # raises for a GGUF file that is not a model
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
