"""Quantises a model to a smaller GGUF file: `quantize`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llamacy.arguments import (
    check_callback,
    checked_flag,
    checked_path,
    checks_options,
)
from llamacy.errors import FormatError
from llamacy.formats.gguf.copying import write_model
from llamacy.formats.imatrix import ImportanceMatrix, read_imatrix
from llamacy.formats.model_file import ModelTensor
from llamacy.formats.requantized import RequantizedFile
from llamacy.formats.requantized_tensor import RequantizedTensor
from llamacy.formats.type_choice import TypeChoice
from llamacy.ggml.file_types import find_file_type
from llamacy.model_files.hyperparameters import family_name
from llamacy.model_files.opening import open_model
from llamacy.model_files.sources import find_source
from llamacy.system.threads import checked_threads

Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class QuantizedTensor:
    """One tensor of the file that `llamacy.quantize` wrote, or would write.

    Attributes
    ----------
    name : str
        Its name.
    shape : tuple of int
        Its sizes, slowest first.
    source_type, type : str
        Its type before and after.
    source_bytes, target_bytes : int
        Its size before and after.
    is_weighed : bool
        Whether an importance matrix says which of its weights matter.
    """

    name: str
    shape: tuple[int, ...]
    source_type: str
    type: str
    source_bytes: int
    target_bytes: int
    is_weighed: bool


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
    tensors : tuple of QuantizedTensor
        Every tensor, in the file's order.
    needs_imatrix : bool
        Whether a type is garbage without an importance matrix, and there is none; only
        of a dry run.
    """

    path: str
    type: str
    n_params: int
    source_bytes: int
    target_bytes: int
    tensor_types: dict[str, int]
    tensors: tuple[QuantizedTensor, ...] = ()
    needs_imatrix: bool = False


@checks_options()
def quantize(
    source: Path,
    target: Path | None,
    type: str,
    *,
    imatrix: Path | ImportanceMatrix | None = None,
    tensor_types: Mapping[str, str] | None = None,
    output_tensor_type: str | None = None,
    token_embedding_type: str | None = None,
    leave_output_tensor: bool = False,
    pure: bool = False,
    dry_run: bool = False,
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
    target : str or os.PathLike or None
        Path of the file to write; it is one file in any case. None only for a dry run.
    type : str
        A file type by llama.cpp's name: ``"Q4_K_M"``, ``"Q8_0"``, ``"F16"``.
    imatrix : ImportanceMatrix, str or os.PathLike, optional
        Which weights matter, from `llamacy.imatrix` or a file of it or of llama.cpp's
        `llama-imatrix`. All quantised types gain by it; IQ3_XXS, those of two bits and
        less, and Q2_K_S, need it.
    tensor_types : dict of str to str, optional
        Types of single tensors, by regular expressions that are searched for in their
        names; the first that is found decides: ``{"ffn_down": "Q6_K"}``.
    output_tensor_type, token_embedding_type : str, optional
        Types of the matrix that makes the logits, and of the token embedding, before
        those of `tensor_types`.
    leave_output_tensor : bool
        Whether the output matrix stays as it is.
    pure : bool
        Whether all matrices get the main type of `type`, none a finer one.
    dry_run : bool
        Whether to write nothing, and only tell types and sizes.
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
        An unknown type, an invalid option, or `target` is a file of `source`. Or a type
        needs an importance matrix.
    ModelFileError
        A file cannot be read or written, for example because the disk is full.
    FormatError
        `source` is broken, or has no weights, or some that cannot be quantised: not
        finite, or too large. Or the importance matrix is broken, or of another model.

    Examples
    --------
    >>> made = llamacy.quantize("SmolLM2-135M", "SmolLM2-135M-Q8_0.gguf", "Q8_0")
    >>> made.target_bytes < made.source_bytes
    True
    """
    file_type = find_file_type(type)  # check before a download
    n_threads = checked_threads(n_threads)
    check_callback("progress", progress)
    dry_run = checked_flag("dry_run", dry_run)
    new_path = "" if dry_run and target is None else checked_path("target", target)
    choice = TypeChoice.checked(
        *(tensor_types, output_tensor_type, token_embedding_type),
        *(pure, leave_output_tensor),
    )
    if imatrix is not None and not isinstance(imatrix, ImportanceMatrix):
        imatrix = read_imatrix(imatrix)
    found = find_source(source)
    file_type = found.file_type(type, "type") or file_type
    with (
        open_model(found.path) as file,
        RequantizedFile(
            file, file_type, n_threads,
            choice=choice, imatrix=imatrix, is_checked=not dry_run,
        ) as requantized,
    ):  # fmt: skip
        family_name(file)  # raises for a GGUF file that is not a model
        if not file.tensors:
            raise FormatError(file.path, "tensors", "the weights of a model", "none")
        if not dry_run:
            write_model(requantized, new_path, progress)
        tensors = [_described(each) for each in requantized.tensors.values()]
        return QuantizedFile(
            path=new_path,
            type=file_type.name,
            n_params=sum(math.prod(each.shape) for each in tensors),
            source_bytes=sum(each.source_bytes for each in tensors),
            target_bytes=sum(each.target_bytes for each in tensors),
            tensor_types=dict(Counter(each.type for each in tensors)),
            tensors=tuple(tensors),
            needs_imatrix=dry_run and requantized.lacks_imatrix,
        )


def _described(tensor: ModelTensor) -> QuantizedTensor:
    source_type, is_weighed = tensor.type, False
    if isinstance(tensor, RequantizedTensor):
        source_type, is_weighed = tensor.source_type, tensor.is_weighed
    n_weights = math.prod(tensor.shape)
    return QuantizedTensor(
        name=tensor.name,
        shape=tuple(tensor.shape),
        source_type=source_type.name,
        type=tensor.type.name,
        source_bytes=n_weights // source_type.block_size * source_type.type_size,
        target_bytes=tensor.n_bytes,
        is_weighed=is_weighed,
    )
