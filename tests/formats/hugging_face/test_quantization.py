"""Which ways of quantising config.json may name, and how the others are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import llamacy
from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face.quantization import (
    Form,
    Quantization,
    Scheme,
    read_quantization,
)
from llamacy.formats.json_text import JsonObject
from llamacy.ggml.types import GGMLType
from tests.support.hugging_face import BABBLE, write_json
from tests.support.quantised_folders import compressed

PACK = "pack-quantized"
Found = Quantization | None


def read(quantization: Any, **config: Any) -> Found:
    values = {"quantization_config": quantization, **config}
    return read_quantization(JsonObject(Path("c.json"), values), has_mxfp4=False)


def schemes(quantization: Any) -> list[Scheme]:
    found = read(quantization)
    assert found is not None
    return list(found.schemes)


@pytest.mark.parametrize(
    ("config", "blocks"),
    [
        ({}, [(128, 128), (1, 0), (0, 0)]),
        ({"weight_block_size": [64, 32]}, [(64, 32), (1, 0), (0, 0)]),
        ({"weight_block_size": None}, [(1, 0), (0, 0)]),
    ],
)
def test_fp8_has_scales_of_blocks_rows_or_matrices(
    config: dict[str, Any], blocks: list[tuple[int, int]]
) -> None:
    want = [Scheme(Form.FLOAT8, 8, *block) for block in blocks]
    assert schemes({"quant_method": "fp8", **config}) == want


@pytest.mark.parametrize(
    ("layout", "weights", "want"),
    [
        (PACK, {"num_bits": 4, "group_size": 64}, (Form.PACKED, 4, 1, 64)),
        (PACK, {"num_bits": 8, "group_size": -1}, (Form.PACKED, 8, 1, 0)),
        (
            PACK,
            {"num_bits": 4, "group_size": 32, "symmetric": False, "actorder": "static"},
            (Form.PACKED, 4, 1, 32, False),
        ),
        ("int-quantized", {"strategy": "channel"}, (Form.BYTES, 8, 1, 0)),
        ("naive-quantized", {"type": "FLOAT"}, (Form.FLOAT8, 8, 0, 0)),
        (
            "float-quantized",
            {"type": "float", "strategy": "block", "block_structure": [128, 64]},
            (Form.FLOAT8, 8, 128, 64),
        ),
    ],
)
def test_groups_of_compressed_tensors_are_schemes(
    layout: str, weights: dict[str, Any], want: tuple[Any, ...]
) -> None:
    assert schemes(compressed(layout, **weights)) == [Scheme(*want)]


def test_each_group_may_have_a_format_of_its_own() -> None:
    one = {"weights": {"num_bits": 4, "group_size": 32}, "format": PACK}
    other = {"weights": {"type": "float"}, "format": "float-quantized"}
    groups = {"config_groups": {"a": one, "b": other, "c": {"weights": None}}}
    found = schemes(compressed("mixed-precision", groups))
    assert [each.form for each in found] == [Form.PACKED, Form.FLOAT8]


def test_dtype_is_the_models() -> None:
    for key, value, want in (
        ("dtype", "bfloat16", GGMLType.BF16),
        ("torch_dtype", "torch.float16", GGMLType.F16),
        ("hidden_size", 64, None),
    ):
        found = read({"quant_method": "fp8"}, **{key: value})
        assert found is not None
        assert found.dtype == want
    with pytest.raises(UnsupportedError, match="c.json: dtype: wanted one of bfl"):
        read({"quant_method": "fp8"}, dtype="float8_e4m3fn")


@pytest.mark.parametrize(
    ("quantization", "name"),
    [
        *(
            ({"quant_method": each, "bits": 4}, each)
            for each in (
                *("awq", "gptq", "bitsandbytes", "hqq", "eetq", "quanto", "torchao"),
                *("fbgemm_fp8", "mxfp4", "mxfp8", "nvfp4", "modelopt", "aqlm", "quark"),
                *("auto-round", "bitnet", "vptq", "higgs", "spqr", "a-new-one"),
            )
        ),
        ({"load_in_4bit": True}, "bitsandbytes"),
        ({"bits": 4, "group_size": 64}, "MLX's weights"),
        ({"group_size": 64}, "None"),
    ],
)
def test_other_methods_are_refused_before_weights_are_read(
    tmp_path: Path, quantization: dict[str, Any], name: str
) -> None:
    config = BABBLE | {"vocab_size": 8, "quantization_config": quantization}
    write_json(tmp_path / "config.json", config)  # and no weights
    for call in (llamacy.inspect, llamacy.load):
        with pytest.raises(UnsupportedError, match="GGUF.* quantize=") as caught:
            call(tmp_path)
        assert str(caught.value).endswith(f"found {name}")


GOOD = {"num_bits": 4, "group_size": 32}


@pytest.mark.parametrize(
    ("weights", "changes", "kind", "message"),
    [
        ({"num_bits": 3}, {}, UnsupportedError, "num_bits: wanted 4 or 8"),
        ({"num_bits": 10**99}, {}, FormatError, "num_bits: wanted 1 to 64"),
        ({"type": "float"}, {}, UnsupportedError, "pack-quantized of float"),
        ({"actorder": "group"}, {}, UnsupportedError, "actorder: wanted weight"),
        ({"dynamic": True}, {}, UnsupportedError, "dynamic: wanted False"),
        ({"strategy": "tensor_group"}, {}, UnsupportedError, "found tensor_group"),
        ({"strategy": "group", "group_size": 0}, {}, FormatError, "group_size"),
        ({"strategy": "block"}, {}, FormatError, "block_structure: wanted two"),
        (
            {"strategy": "block", "block_structure": [0, 1]},
            *({}, FormatError, "wanted two sizes"),
        ),
        (
            {"strategy": "tensor", "symmetric": False},
            *({}, UnsupportedError, "symmetric: wanted true"),
        ),
        ({"symmetric": 1}, {}, FormatError, "symmetric: wanted true or false"),
        ({}, {"format": "marlin-24"}, UnsupportedError, "found marlin-24 of int"),
        ({}, {"format": None}, FormatError, "format: wanted a value"),
        ({}, {"quantization_status": "frozen"}, UnsupportedError, "found frozen"),
        ({}, {"transform_config": {"a": 1}}, UnsupportedError, "transform_config"),
        (
            {},
            {"sparsity_config": {"format": "sparse-24-bitmask"}},
            *(UnsupportedError, "sparsity_config.format: wanted dense"),
        ),
        ({}, {"config_groups": {}}, FormatError, "config_groups: wanted an object"),
        ({}, {"config_groups": {"W4A16": ["Linear"]}}, FormatError, "W4A16: wanted"),
    ],
)
def test_settings_of_compressed_tensors_are_checked(
    weights: dict[str, Any], changes: dict[str, Any], kind: Any, message: str
) -> None:
    with pytest.raises(kind, match=message):
        read(compressed(PACK, changes, **GOOD | weights))


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"expert_dtype": "fp4"}, UnsupportedError, "expert_dtype: wanted fp8"),
        ({"weight_block_size": [128]}, FormatError, "weight_block_size: wanted two"),
        ({"weight_block_size": "128"}, FormatError, "wanted an array"),
        ({"weight_block_size": [True, 1]}, FormatError, "wanted two sizes"),
    ],
)
def test_settings_of_fp8_are_checked(
    changes: dict[str, Any], kind: Any, message: str
) -> None:
    with pytest.raises(kind, match=message):
        read({"quant_method": "fp8", **changes})
