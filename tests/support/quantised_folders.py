"""The babbling model in quantised folders, as `fp8` and as `compressed-tensors`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support import random_model
from tests.support.hugging_face import (
    hugging_face_tensors,
    write_babble,
    write_tensors,
)

Array = NDArray[Any]
Tensors = dict[str, Array]
Quantize = Callable[[str, Array], Tensors]
"""Makes the tensors of a matrix, by its name without `weight`, from its floats."""

FP8: dict[str, Any] = {"quant_method": "fp8", "weight_block_size": [32, 48]}


def compressed(
    layout: str, changes: Mapping[str, Any] | None = None, **weights: Any
) -> dict[str, Any]:
    """Return the object of config.json for one group, with changes to it."""
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": layout,
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
        "quantization_status": "compressed",
        **(changes or {}),
    }


def write_quantised(
    folder: Path, config: Mapping[str, Any], quantize: Quantize, **changes: Any
) -> Path:
    """Write the babbling model with the matrices of its layers quantised."""
    quantization = {"quantization_config": config, "torch_dtype": "bfloat16"}
    write_babble(folder, config=quantization | changes)
    n_vocab = len(random_model.vocabulary()[0])
    floats = hugging_face_tensors(random_model.tensors(n_vocab, seed=0))
    stored: Tensors = {}
    for name, values in floats.items():
        made = {name: values}
        if "_proj." in name:
            made = quantize(name.removesuffix("weight"), values)
        stored |= made
    write_tensors(folder, stored)
    return folder


def float8(block: tuple[int, int] | None, name: str = "weight_scale_inv") -> Quantize:
    """Return a function that makes random codes of E4M3, and a scale for each block."""
    rng = np.random.default_rng(0)

    def quantize(module: str, values: Array) -> Tensors:
        codes = rng.integers(0, 0x7F, values.shape, np.uint8)
        sizes = zip(values.shape, block or (), strict=False)
        grid = [-(-n // size) for n, size in sizes]
        scales = rng.uniform(0.0001, 0.0005, grid)
        return {
            f"{module}weight": codes.view("V1"),
            f"{module}{name}": np.asarray(scales, np.float32),
        }

    return quantize


def integers(values: Array, n_groups: int, n_bits: int) -> tuple[Array, Array]:
    """Return integers, int8, and their scales, float16, of groups in each row."""
    groups = values.reshape(len(values), n_groups, -1)
    most = 2 ** (n_bits - 1) - 1
    scales = (np.abs(groups).max(axis=2) / most).astype(np.float16)
    codes = np.rint(groups / scales[..., None]).clip(-most - 1, most)
    return codes.reshape(values.shape).astype(np.int8), scales


def pack(codes: Array, n_bits: int) -> Array:
    """Pack rows of integers into int32, the first in the lowest bits."""
    per_word = 32 // n_bits
    padded = np.pad(codes.astype(np.int64), [(0, 0), (0, -codes.shape[1] % per_word)])
    parts = (padded + (1 << (n_bits - 1))).reshape(len(codes), -1, per_word)
    words: Array = (parts << np.arange(0, 32, n_bits)).sum(axis=2)
    return words.astype(np.uint32).view(np.int32)


def packed(n_groups: int, n_bits: int) -> Quantize:
    """Return a function that packs integers with scales of groups."""

    def quantize(module: str, values: Array) -> Tensors:
        codes, scales = integers(values, n_groups, n_bits)
        return {
            f"{module}weight_packed": pack(codes, n_bits),
            f"{module}weight_scale": scales,
            f"{module}weight_shape": np.array(values.shape),
        }

    return quantize
