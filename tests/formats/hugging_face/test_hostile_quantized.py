"""Quantised folders that are broken: errors name the tensor at fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face import open_hugging_face
from tests.support.quantised_folders import (
    FP8,
    Quantize,
    Tensors,
    compressed,
    float8,
    packed,
    write_quantised,
)

Array = NDArray[Any]
Change = Callable[[str, Tensors], None]
PACK = "pack-quantized"
W4 = compressed(PACK, num_bits=4, group_size=32)


def drop(suffix: str) -> Change:
    def change(module: str, made: Tensors) -> None:
        del made[f"{module}{suffix}"]

    return change


def put(suffix: str, values: Array) -> Change:
    return lambda module, made: made.update({f"{module}{suffix}": values})


def several(*changes: Change) -> Change:
    def change(module: str, made: Tensors) -> None:
        for each in changes:
            each(module, made)

    return change


NAN = np.full((2, 2), np.nan, np.float32)
SHAPE = (64, 64)
WRONG: list[tuple[Any, Quantize, Change, Any, str]] = [
    (FP8, float8((32, 48)), drop("weight_scale_inv"), FormatError, "found none"),
    (
        *(FP8, float8((32, 48)), put("weight_scale", NAN), FormatError),
        "wanted the scales of weights, found two tensors",
    ),
    (FP8, float8((32, 48)), put("weight_scale_inv", NAN), FormatError, "finite scales"),
    (
        *(FP8, float8((32, 48)), put("weight_scale_inv", NAN[:1]), FormatError),
        r"wanted \(2, 2\) or \(64, 1\) or \(1, 1\), found \(1, 2\)",
    ),
    (
        *(FP8, float8((32, 48)), put("weight_scale_inv", NAN[None]), FormatError),
        r"weight_scale_inv: shape: wanted .*, found \(1, 2, 2\)",
    ),
    (
        *(FP8, float8((32, 48)), put("weight_scale_inv", np.zeros((2, 2), np.int8))),
        *(FormatError, "weight_scale_inv: dtype: wanted floats, found I8"),
    ),
    (
        *(FP8, float8(None), put("weight_scale_inv", np.zeros((0, 2), np.float32))),
        *(FormatError, "weight_scale_inv"),
    ),
    (
        *(FP8, float8(None), put("weight", np.zeros((1, 64, 64), np.uint8).view("V1"))),
        *(FormatError, r"weight: shape: wanted a matrix, found \(1, 64, 64\)"),
    ),
    (
        *(FP8, float8(None), put("weight", np.zeros(SHAPE, np.int8)), UnsupportedError),
        "weight: dtype: wanted floats or floats of 8 bits, found I8",
    ),
    (
        *(FP8, float8(None), put("weight_packed", np.zeros((64, 8), np.int32))),
        *(UnsupportedError, "weight_packed: dtype: wanted floats or floats of"),
    ),
    (W4, packed(2, 4), drop("weight_shape"), FormatError, "weight_shape: .* none"),
    (W4, packed(2, 4), drop("weight_scale"), FormatError, "weight_scale: .* none"),
    (
        *(W4, packed(2, 4), put("weight_shape", np.array([64, 65])), FormatError),
        r"weight_packed: shape: wanted rows of 9 words for \(64, 65\)",
    ),
    (
        *(W4, packed(2, 4), put("weight_shape", np.array([32, 64])), FormatError),
        r"weight_shape: wanted 64 rows, found \(32, 64\)",
    ),
    (
        *(W4, packed(2, 4), put("weight_shape", np.array([64, -(2**63)])), FormatError),
        r"weight_shape: wanted two sizes, found \(64, -9223372036854775808\)",
    ),
    (
        *(W4, packed(2, 4), put("weight_shape", np.zeros(2, np.float32)), FormatError),
        "weight_shape: wanted whole numbers",
    ),
    (
        *(W4, packed(2, 4), put("weight_shape", np.zeros(0, np.int64)), FormatError),
        "weight_shape: wanted two sizes",
    ),
    (
        *(W4, packed(2, 4), put("weight_packed", np.zeros((64, 8), np.int64))),
        *(FormatError, "weight_packed: dtype: wanted I32"),
    ),
    (W4, packed(1, 4), several(), FormatError, r"wanted \(64, 2\), found \(64, 1\)"),
    (
        *(W4, packed(2, 4), put("weight", np.zeros(SHAPE, np.float32)), FormatError),
        "weight: wanted one of its kind, found it under two names",
    ),
    (
        *(W4, packed(2, 4), put("weight_g_idx", np.zeros(64, np.int32))),
        *(UnsupportedError, "weight_g_idx"),
    ),
    (
        *(W4, packed(2, 4), put("weight_zero_point", np.zeros((8, 2), np.int32))),
        *(UnsupportedError, "weight_zero_point"),
    ),
    (
        compressed(PACK, num_bits=4, group_size=32, symmetric=False),
        *(packed(2, 4), several(), FormatError, "zero points, as .*, found none"),
    ),
    (
        compressed(PACK, num_bits=4, group_size=32, symmetric=False),
        *(packed(2, 4), put("weight_zero_point", np.zeros((64, 2), np.int8))),
        *(FormatError, r"wanted I32 of \(8, 2\), found I8 of \(64, 2\)"),
    ),
]


@pytest.mark.parametrize(("config", "made", "change", "kind", "message"), WRONG)
def test_broken_folders_are_named(
    tmp_path: Path, config: Any, made: Quantize, change: Change, kind: Any, message: str
) -> None:
    def quantize_(module: str, values: Array) -> Tensors:
        if "2.self_attn.q" not in module:
            return {f"{module}weight": values}
        stored = made(module, values)
        change(module, stored)
        return stored

    folder = write_quantised(tmp_path / "a", config, quantize_)
    with pytest.raises(kind, match=message) as caught:
        open_hugging_face(folder)
    assert "model.layers.2.self_attn.q_proj.weight" in str(caught.value)


def test_weights_that_are_no_numbers_are_named_when_they_are_read(
    tmp_path: Path,
) -> None:
    made = float8(None)

    def quantize_(module: str, values: Array) -> Tensors:
        stored = made(module, values)
        if "1.mlp.up" in module:
            stored[f"{module}weight"].view(np.uint8)[3, 5] = 0xFF
        return stored

    folder = write_quantised(tmp_path / "a", FP8, quantize_)
    wanted = "layers.1.mlp.up_proj.weight: wanted finite .* of BF16, found NaN"
    with pytest.raises(FormatError, match=wanted):
        llamacy.load(folder)


@pytest.mark.parametrize(
    ("end", "method"),
    [
        ("qweight", "GPTQ or AWQ"),
        ("weight.absmax", "bitsandbytes"),
        ("SCB", "bitsandbytes"),
        ("W_q", "HQQ"),
    ],
)
def test_methods_that_config_json_does_not_name_are_known_by_their_tensors(
    tmp_path: Path, end: str, method: str
) -> None:
    folder = write_quantised(
        tmp_path / "a",
        {},
        lambda module, values: {f"{module}{end}": np.zeros((8, 64), np.int32)},
    )
    with pytest.raises(UnsupportedError, match=f"{end}: wanted fp8, .* found {method}"):
        open_hugging_face(folder)
