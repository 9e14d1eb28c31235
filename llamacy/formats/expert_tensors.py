"""Experts in the layouts of older and newer GGUF files, presented in the usual one.

Usually, a layer's experts are three tensors of shape (n_expert, n_out, n_in):
`ffn_gate_exps`, `ffn_up_exps` and `ffn_down_exps`. Files from early 2024 and before
have one matrix per expert instead: `ffn_gate.0`, `ffn_gate.1` and so on. Files from
2026 may merge gate and up into `ffn_gate_up_exps`, in which each expert's gate rows
come before its up rows. Source: llama.cpp's `llama-arch.cpp`, and its pull requests
6387 and 19139.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError
from llamacy.formats.derived_tensor import DerivedTensor, StackedTensor
from llamacy.formats.model_file import SAMPLE_BYTES, ModelTensor

_ALONE: Final = re.compile(
    r"(blk\.[0-9]+\.ffn_(?:gate|up|down))\.(0|[1-9][0-9]{0,5})\.weight"
)
_MERGED: Final = re.compile(r"(blk\.[0-9]+\.ffn_)gate_up_exps\.(weight|bias)")


class HalfOfExperts(DerivedTensor):
    """The first or second half of each expert's rows, as a tensor of its own.

    The attributes are those of `llamacy.formats.gguf.file.Tensor`.

    Parameters
    ----------
    name : str
        Name of the half.
    whole : ModelTensor
        The merged tensor: (n_expert, 2 n, n_in), or (n_expert, 2 n) if its type has
        no blocks.
    half : int
        0 for the first rows, 1 for the second.
    """

    def __init__(self, name: str, whole: ModelTensor, half: int) -> None:
        n_expert, n_rows, *n_in = whole.shape
        super().__init__(name, whole.type, (n_expert, n_rows // 2, *n_in), [whole])
        self._whole = whole
        self._half = half

    @property
    def data(self) -> NDArray[np.uint8]:
        """The blocks, row after row: uint8, (n_bytes,), a fresh array."""
        return self._halves()[:, self._half].reshape(-1)

    def sample(self) -> bytes:
        """Return the first bytes of the first expert, for a fingerprint."""
        return self._halves()[0, self._half, :SAMPLE_BYTES].tobytes()

    def _halves(self) -> NDArray[np.uint8]:
        return self._whole.data.reshape(self.shape[0], 2, -1)


def usual_experts(
    tensors: Mapping[str, ModelTensor], path: Path
) -> dict[str, ModelTensor]:
    """Return the tensors with all experts in the usual layout, without reading any.

    Raises
    ------
    FormatError
        An expert is missing, experts differ in shape or type, or a merged tensor
        cannot be split in two.
    """
    usual = dict(tensors)
    stacks: dict[str, dict[int, ModelTensor]] = {}
    for name, tensor in tensors.items():
        if match := _ALONE.fullmatch(name):
            stacks.setdefault(match[1], {})[int(match[2])] = usual.pop(name)
        elif match := _MERGED.fullmatch(name):
            del usual[name]
            _check_merged(tensor, path)
            for half, part in enumerate(("gate", "up")):
                of_part = f"{match[1]}{part}_exps.{match[2]}"
                usual.setdefault(of_part, HalfOfExperts(of_part, tensor, half))
    for prefix, stack in stacks.items():
        matrices = list(_in_order(prefix, stack, path))
        name = f"{prefix}_exps.weight"
        usual.setdefault(name, StackedTensor(name, matrices))
    return usual


def _in_order(
    prefix: str, stack: Mapping[int, ModelTensor], path: Path
) -> Iterator[ModelTensor]:
    """Yield experts in order of their numbers; raise if one is missing or unlike."""
    numbers = range(len(stack))
    for number in numbers:
        if number not in stack:
            wanted = f"one of {len(stack)} experts"
            raise FormatError(path, _tensor(prefix, number), wanted, "no such tensor")
    first = stack[0]
    for number in numbers:
        matrix, name = stack[number], _tensor(prefix, number)
        if matrix.shape != first.shape or len(matrix.shape) != 2:
            wanted = "a matrix of the same shape as expert 0's"
            raise FormatError(path, f"{name}: shape", wanted, matrix.shape)
        if matrix.type != first.type:
            wanted = f"{first.type.name}, like expert 0"
            raise FormatError(path, f"{name}: type", wanted, matrix.type.name)
        yield matrix


def _tensor(prefix: str, number: int) -> str:
    return f"tensor {prefix}.{number}.weight"


def _check_merged(tensor: ModelTensor, path: Path) -> None:
    is_bias = tensor.name.endswith("bias")
    n_dims, wanted = (2, "2 n_ff") if is_bias else (3, "2 n_ff, n_embd")
    if len(tensor.shape) != n_dims or tensor.shape[1] % 2:
        name = f"tensor {tensor.name}: shape"
        raise FormatError(path, name, f"(n_expert, {wanted})", tensor.shape)
    if is_bias and tensor.type.block_size > 1:  # a half could end within a block
        name = f"tensor {tensor.name}: type"
        raise FormatError(path, name, "a type of single numbers", tensor.type.name)
