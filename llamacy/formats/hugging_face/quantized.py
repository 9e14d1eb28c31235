"""Puts the tensors of a quantised folder together: one of weights for each matrix.

A quantised matrix called `m.weight` is stored as `m.weight` or `m.weight_packed`, with
`m.weight_scale` or `m.weight_scale_inv`, both of which multiply. Integers may have
`m.weight_zero_point`, and packed ones have `m.weight_shape`. Source: the packages
transformers 5.24 and compressed-tensors 0.20.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.experts import Source
from llamacy.formats.hugging_face.quantization import READ, Form, Quantization, Scheme
from llamacy.formats.hugging_face.quantized_codes import decoder, n_words, zero_points
from llamacy.formats.hugging_face.quantized_forms import (
    BLOCK,
    Codes,
    ScaledBlocks,
    ScaledFloats,
    Scales,
)
from llamacy.formats.safetensors.file import BYTES, DTYPES, MAX_SIZE
from llamacy.formats.safetensors.float8 import FLOAT8, SCALES
from llamacy.formats.safetensors.folder import ByteTensor
from llamacy.ggml.types import GGMLType, dequantize
from llamacy.printable import shown

_SCALE_NAMES: Final = ("weight_scale_inv", "weight_scale")
# Settings of activations, which stay floats.
_ACTIVATIONS: Final = (
    "input_scale",
    "input_zero_point",
    "activation_scale",
    "output_scale",
    "output_zero_point",
)
# Ends of names by which folders are known whose config.json names no method.
_OTHER_METHODS: Final = {
    ".qweight": "GPTQ or AWQ",
    ".weight.absmax": "bitsandbytes",
    ".SCB": "bitsandbytes",
    ".W_q": "HQQ",
}
_EXPERT: Final = re.compile(r"\.experts\.[0-9]+\.")


def unpacked(
    tensors: Mapping[str, Source], quantization: Quantization | None, path: Path
) -> Mapping[str, Source]:
    """Return the tensors with each quantised matrix as one tensor of weights.

    Integers keep their values, as Q4_0 or Q8_0, where ggml's type can have them: there
    are no zero points, rows and groups are whole blocks of 32, and float16 represents
    the scales of this matrix, and of the same matrix of all experts. All other matrices
    are as transformers dequantises them, in the model's type.

    Parameters
    ----------
    tensors : Mapping of str to Source
        All tensors of the folder.
    quantization : Quantization or None
        How they are quantised; None returns `tensors` unchanged.
    path : Path
        The folder, for errors.

    Raises
    ------
    FormatError
        Scales, zero points or a shape are missing, of another shape or type, or not
        finite.
    UnsupportedError
        A matrix is quantised in another way than `quantization` says, or by a method
        that config.json does not name.
    """
    if quantization is None:
        _check_methods(tensors, path)
        return tensors
    reader = _Reader(tensors, quantization, path)
    found = {
        name: reader.matrix(name, tensor)
        for name, tensor in tensors.items()
        if isinstance(tensor, ByteTensor) and _is_quantized(name, tensor)
    }
    inexact = {
        _of_all_experts(name)
        for name, (codes, scales) in found.items()
        if not _are_blocks(codes, scales)
    }
    whole: dict[str, Source] = reader.others
    for name, (codes, scales) in found.items():
        ours = name.removesuffix("_packed")
        if ours in whole:
            reader.fail(ours, "one of its kind", "it under two names")
        if _of_all_experts(name) in inexact:
            whole[ours] = ScaledFloats(ours, reader.dtype, codes, scales, path)
        else:
            whole[ours] = ScaledBlocks(ours, codes, scales)
    return whole


def _check_methods(tensors: Mapping[str, Source], path: Path) -> None:
    for name in tensors:
        for end, method in _OTHER_METHODS.items():
            if name.endswith(end):
                raise UnsupportedError(path, f"tensor {shown(name)}", READ, method)


def _is_quantized(name: str, tensor: ByteTensor) -> bool:
    if name.endswith(".weight_packed"):
        return True
    return name.endswith(".weight") and (tensor.dtype in FLOAT8 or tensor.dtype == "I8")


def _of_all_experts(name: str) -> str:
    """Return a name that the same matrices of all experts of a layer have."""
    return _EXPERT.sub(".experts.", name)


def _are_blocks(codes: Codes, scales: Scales) -> bool:
    """Whether a matrix in Q4_0 or Q8_0 has exactly the file's integers and scales."""
    scheme = codes.scheme
    if scheme.form is Form.FLOAT8 or not scheme.is_symmetric or scheme.n_rows > 1:
        return False
    if codes.shape[1] % BLOCK or scheme.n_columns % BLOCK:
        return False
    values = scales.values()
    with np.errstate(over="ignore"):
        return np.array_equal(values.astype(np.float16).astype(np.float32), values)


class _Reader:
    """Reads matrices; `others` has the tensors that belong to none."""

    def __init__(
        self, tensors: Mapping[str, Source], quantization: Quantization, path: Path
    ) -> None:
        self.path = path
        self.quantization = quantization
        self.others: dict[str, Source] = dict(tensors)
        floats = (each for each in tensors.values() if not isinstance(each, ByteTensor))
        first = next((each.type for each in floats), GGMLType.F32)
        self.dtype = quantization.dtype if quantization.dtype is not None else first

    def matrix(self, name: str, tensor: ByteTensor) -> tuple[Codes, Scales]:
        """Return the codes and scales of a matrix, and take its tensors out."""
        module = name.rpartition(".")[0]
        del self.others[name]
        for each in _ACTIVATIONS:
            self.others.pop(f"{module}.{each}", None)
        form = self._form(name, tensor)
        shape = self._shape(name, tensor, form)
        scale_name, scale = self._scale(module)
        values = self._floats(scale_name, scale)
        scheme = self._scheme(name, tensor, form, shape, _grid(values))
        if scheme is None:
            grids = self._grids(form, shape)
            self.fail(scale_name, " or ".join(map(str, grids)), scale.shape, "shape")
        if not np.isfinite(values).all():
            self.fail(scale_name, "finite scales", "NaN or infinity")
        read = partial(self._grid_of, scale_name, scale)
        zeros: Callable[[], NDArray[np.float32]] | None = None
        sources = [scale]
        if not scheme.is_symmetric:
            sources.append(point := self._zero_points(module, scheme, shape))
            zeros = partial(zero_points, point, scheme, shape)
        scale.release()
        codes = Codes(tensor, shape, decoder(tensor, scheme, shape), scheme)
        return codes, Scales(read, self._between(scale), zeros, tuple(sources))

    def _form(self, name: str, tensor: ByteTensor) -> Form:
        """Return how a matrix is stored, one of the ways that config.json has."""
        form = Form.BYTES if tensor.dtype == "I8" else Form.FLOAT8
        if name.endswith("_packed"):
            form = Form.PACKED
            if tensor.dtype != "I32":
                self.fail(name, "I32, packed integers", tensor.dtype, "dtype")
        known = {each.form for each in self.quantization.schemes}
        if form not in known or tensor.dtype == SCALES:
            wanted = " or ".join(["floats", *(each.value for each in known)])
            field = f"tensor {shown(name)}: dtype"
            raise UnsupportedError(self.path, field, wanted, tensor.dtype)
        return form

    def _shape(self, name: str, tensor: ByteTensor, form: Form) -> tuple[int, int]:
        """Return the shape of a matrix, which packed ones have in a tensor."""
        if len(tensor.shape) != 2 or 0 in tensor.shape:
            self.fail(name, "a matrix", tensor.shape, "shape")
        if form is not Form.PACKED:
            return tensor.shape[0], tensor.shape[1]
        name = f"{name.removesuffix('_packed')}_shape"
        found = self.others.pop(name, None)
        if not isinstance(found, ByteTensor) or found.dtype not in ("I64", "I32"):
            self.fail(name, "whole numbers", "none" if found is None else "others")
        sizes = found.raw.view("<i8" if found.dtype == "I64" else "<i4").tolist()
        if len(sizes) != 2 or not 0 < sizes[1] <= MAX_SIZE:
            self.fail(name, "two sizes", shown(tuple(sizes[:2])))
        if sizes[0] != tensor.shape[0]:
            self.fail(name, f"{tensor.shape[0]} rows", tuple(sizes))
        return sizes[0], sizes[1]

    def _scale(self, module: str) -> tuple[str, Source]:
        found = [
            (name, self.others.pop(name))
            for name in (f"{module}.{each}" for each in _SCALE_NAMES)
            if name in self.others
        ]
        if len(found) != 1:
            count = "two tensors of them" if found else "none"
            self.fail(f"{module}.{_SCALE_NAMES[-1]}", "the scales of weights", count)
        return found[0]

    def _floats(self, name: str, tensor: Source) -> NDArray[np.float32]:
        """Read scales, which may have no dimensions, or be powers of two."""
        if not isinstance(tensor, ByteTensor):
            return tensor.dequantize()
        if tensor.dtype in DTYPES and not tensor.shape:
            return dequantize(tensor.raw, DTYPES[tensor.dtype], (1,)).reshape(())
        is_fp8 = self.quantization.method == "fp8"
        if is_fp8 and tensor.dtype in (SCALES, BYTES) and tensor.n_bytes:
            return FLOAT8[SCALES][tensor.raw].reshape(tensor.shape)
        self.fail(name, "floats", tensor.dtype, "dtype")

    def _grid_of(self, name: str, tensor: Source) -> NDArray[np.float32]:
        values = self._floats(name, tensor)
        grid = _grid(values)
        assert grid is not None
        return values.reshape(grid)

    def _grids(self, form: Form, shape: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the shapes that scales may have."""
        schemes = self.quantization.schemes
        return list({each.grid(shape): 0 for each in schemes if each.form is form})

    def _scheme(
        self,
        name: str,
        tensor: ByteTensor,
        form: Form,
        shape: tuple[int, int],
        grid: tuple[int, int] | None,
    ) -> Scheme | None:
        """Return the scheme that a matrix has, by its shape and that of its scales."""
        schemes = [each for each in self.quantization.schemes if each.form is form]
        if form is Form.PACKED:
            widths = {each: n_words(shape[1], each) for each in schemes}
            schemes = [each for each in schemes if widths[each] == tensor.shape[1]]
            if not schemes:
                words = " or ".join(str(width) for width in set(widths.values()))
                wanted = f"rows of {words} words for {shape}"
                self.fail(name, wanted, tensor.shape, "shape")
        for each in schemes:
            if form is not Form.FLOAT8 and shape[1] % (each.n_columns or 1):
                continue
            if each.grid(shape) == grid:
                return each
        return None

    def _zero_points(
        self, module: str, scheme: Scheme, shape: tuple[int, int]
    ) -> ByteTensor:
        """Return the zero points of a matrix: packed down the columns, or bytes."""
        name = f"{module}.weight_zero_point"
        n_rows, n_columns = scheme.grid(shape)
        wanted: tuple[str, tuple[int, ...]] = ("I8", (n_rows, n_columns))
        if scheme.form is Form.PACKED:
            wanted = ("I32", (n_words(n_rows, scheme), n_columns))
        found = self.others.pop(name, None)
        if found is None:
            self.fail(name, "zero points, as symmetric is false", "none")
        dtype = found.dtype if isinstance(found, ByteTensor) else found.type.name
        if not isinstance(found, ByteTensor) or (dtype, found.shape) != wanted:
            self.fail(name, "{} of {}".format(*wanted), f"{dtype} of {found.shape}")
        return found

    def _between(self, scale: Source) -> GGMLType | None:
        """Return the type that products are rounded to before the model's."""
        if self.quantization.method == "fp8":
            return None
        return DTYPES[scale.dtype] if isinstance(scale, ByteTensor) else scale.type

    def fail(
        self, name: str, wanted: object, found: object, part: str = ""
    ) -> NoReturn:
        """Raise the error about a tensor, or a part of its description."""
        field = f"tensor {shown(name)}" + (f": {part}" if part else "")
        raise FormatError(self.path, field, wanted, found)


def _grid(scales: NDArray[Any]) -> tuple[int, int] | None:
    """Return the rows and columns of scales; None if they are no matrix."""
    if scales.ndim > 2:
        return None
    n_rows, n_columns, *_ = (*scales.shape, 1, 1)
    return n_rows, n_columns
