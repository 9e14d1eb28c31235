"""Big-endian files: as machines of that order and as the package gguf write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import UnsupportedError
from llamacy.formats.gguf.byte_order import HALVES
from llamacy.formats.gguf.file import open_gguf
from llamacy.ggml.types import GGMLType
from tests.support.raw_types import raw_type
from tests.support.rewriting import rewrite

BIG = gguf.GGUFEndian.BIG
RNG = np.random.default_rng(0)


def random_blocks(kind: GGMLType, n: int) -> NDArray[np.uint8]:
    """Return a row of random bytes; numbers of two bytes are between 0.001 and 0.1."""
    blocks = RNG.integers(0, 256, (n, kind.type_size), np.uint8)
    for at in HALVES.get(kind, ()):
        numbers = RNG.uniform(0.001, 0.1, (n, 1)).astype(np.float32)
        if kind is GGMLType.BF16:
            blocks[:, at : at + 2] = numbers.view(np.uint8)[:, 2:]
        else:
            blocks[:, at : at + 2] = numbers.astype(np.float16).view(np.uint8)
    return blocks.reshape(1, -1)


def write(
    path: Path,
    blocks: NDArray[Any],
    kind: Any = None,
    **options: Any,
) -> Path:
    """Write a file of one tensor, and of metadata of several types."""
    writer = gguf.GGUFWriter(path, "llama", **options)
    writer.add_uint32("a.whole", 70_000)
    writer.add_int64("a.negative", -5)
    writer.add_float32("a.real", 0.5)
    writer.add_bool("a.flag", True)
    writer.add_array("a.words", ["x", "\N{SNOWMAN}", "a longer one"])
    writer.add_array("a.numbers", [1, 2, 300])
    writer.add_array("a.reals", [0.25, 3.0])
    writer.add_tensor("t", blocks, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def turned(blocks: NDArray[np.uint8], kind: GGMLType) -> NDArray[np.uint8]:
    """Turn a block's numbers of two bytes, as gguf_convert_endian.py does."""
    made = blocks.reshape(-1, kind.type_size).copy()
    for at in HALVES[kind]:
        made[:, [at, at + 1]] = made[:, [at + 1, at]]
    return made.reshape(blocks.shape)


def test_metadata_and_floats(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((3, 32), np.float32)
    for dtype in (np.float32, np.float16):
        weights = values.astype(dtype)
        little = write(tmp_path / "little.gguf", weights)
        big = write(tmp_path / "big.gguf", weights, endianess=BIG)
        assert little.read_bytes() != big.read_bytes()
        with open_gguf(little) as one, open_gguf(big) as other:
            assert other.format == f"{one.format}, big-endian"
            assert one.value_types == other.value_types
            assert one.metadata.keys() == other.metadata.keys()
            for key, value in one.metadata.items():
                np.testing.assert_array_equal(value, other.metadata[key], strict=True)
            np.testing.assert_array_equal(other.tensors["t"].dequantize(), weights)


@pytest.mark.parametrize("kind", HALVES)
@pytest.mark.parametrize("is_turned", [False, True])
def test_blocks_of_either_order(
    tmp_path: Path, kind: GGMLType, is_turned: bool
) -> None:
    blocks = random_blocks(kind, 40)
    stored = turned(blocks, kind) if is_turned else blocks
    raw = raw_type(kind.name)
    path = write(tmp_path / "m.gguf", stored, raw, endianess=BIG)
    with open_gguf(path) as file:
        np.testing.assert_array_equal(file.tensors["t"].data, blocks.reshape(-1))


@pytest.mark.parametrize("kind", [GGMLType.Q5_0, GGMLType.IQ2_XS, GGMLType.Q3_K])
def test_types_with_longer_numbers_are_named(tmp_path: Path, kind: GGMLType) -> None:
    raw = gguf.GGMLQuantizationType(kind)
    path = write(tmp_path / "m.gguf", random_blocks(kind, 2), raw, endianess=BIG)
    with pytest.raises(UnsupportedError, match=f"big-endian, found {kind.name}"):
        open_gguf(path)


def test_a_model_computes_the_same_from_either_order(
    tmp_path: Path, babble_model: Path
) -> None:
    path = rewrite(babble_model, tmp_path / "big.gguf", endianess=BIG)
    with llamacy.load(babble_model) as one, llamacy.load(path) as other:
        ids = one.tokenize("ba be bi")
        assert other.tokenize("ba be bi") == ids
        np.testing.assert_array_equal(other.logits(ids), one.logits(ids))
