"""Quantised folders: weights as floats, Q4_0 or Q8_0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.file import open_gguf
from llamacy.formats.hugging_face import HuggingFaceFolder, open_hugging_face
from llamacy.formats.hugging_face.layouts import interleaved
from llamacy.formats.safetensors.float8 import FLOAT8
from llamacy.ggml.quantization import quantize
from llamacy.ggml.types import GGMLType, dequantize
from tests.support import mixture_folders, random_model
from tests.support.hugging_face import write_json
from tests.support.quantised_folders import (
    FP8,
    Quantize,
    Tensors,
    compressed,
    float8,
    integers,
    pack,
    packed,
    write_quantised,
)

Array = NDArray[Any]
PACK = "pack-quantized"
W4 = compressed(PACK, num_bits=4, group_size=32)
W8 = compressed(PACK, num_bits=8, strategy="channel")
INT8 = compressed("int-quantized", num_bits=8, strategy="channel")
NAMES = {
    "blk.1.attn_k.weight": "model.layers.1.self_attn.k_proj.",
    "blk.3.ffn_down.weight": "model.layers.3.mlp.down_proj.",
}


def bf16(values: Array) -> Array:
    data = quantize(values.astype(np.float32), GGMLType.BF16)
    return dequantize(data, GGMLType.BF16, values.shape)


def kept(made: Quantize) -> tuple[Quantize, Tensors]:
    """Return a function that keeps all tensors that it makes, and those."""
    tensors: Tensors = {}

    def keep(module: str, values: Array) -> Tensors:
        stored = made(module, values)
        tensors.update(stored)
        return stored

    return keep, tensors


def check(file: HuggingFaceFolder, type_name: str, weights: Any) -> None:
    """Compare some matrices; `weights(module)` has the rows of a file of theirs."""
    for name, module in NAMES.items():
        want = weights(module)
        if "attn_k" in name:
            want = interleaved(want, random_model.N_HEAD_KV)
        assert file.tensors[name].type.name == type_name
        np.testing.assert_array_equal(file.tensors[name].dequantize(), want, name)


@pytest.mark.parametrize("block", [(32, 48), (1, 192), None], ids=str)
@pytest.mark.parametrize("name", ["weight_scale_inv", "weight_scale"])
def test_fp8_has_the_values_of_codes_times_scales(
    tmp_path: Path, block: tuple[int, int] | None, name: str
) -> None:
    """Blocks at the ends of rows and columns may be smaller."""
    keep, stored = kept(float8(block, name))
    with open_hugging_face(write_quantised(tmp_path / "a", FP8, keep)) as file:

        def weights(module: str) -> Array:
            codes = stored[f"{module}weight"].view(np.uint8)
            scales = stored[f"{module}{name}"]
            for axis, size in enumerate(block or ()):
                scales = scales.repeat(size, axis)
            if block:
                scales = scales[: codes.shape[0], : codes.shape[1]]
            return bf16(FLOAT8["F8_E4M3"][codes] * scales)

        check(file, "BF16", weights)
        assert file.metadata["general.file_type"] == 32
        assert file.tensors["token_embd.weight"].type is GGMLType.F32
        assert "general.quantization_version" not in file.metadata


def test_scales_may_be_powers_of_two(tmp_path: Path) -> None:
    made = float8(None)

    def quantize_(module: str, values: Array) -> Tensors:
        stored = made(module, values)
        stored[f"{module}weight_scale_inv"] = np.array([[118]], np.uint8)
        return stored

    keep, stored = kept(quantize_)
    with open_hugging_face(write_quantised(tmp_path / "a", FP8, keep)) as file:
        codes = FLOAT8["F8_E4M3"][
            stored[f"{NAMES['blk.3.ffn_down.weight']}weight"].view("u1")
        ]
        got = file.tensors["blk.3.ffn_down.weight"].dequantize()
        np.testing.assert_array_equal(got, codes * np.float32(2**-9))


@pytest.mark.parametrize(
    ("config", "n_groups", "n_bits", "type_name", "number"),
    [(W4, 2, 4, "Q4_0", 2), (W8, 1, 8, "Q8_0", 7)],
    ids=["W4A16", "W8A16"],
)
def test_packed_integers_keep_their_values(
    tmp_path: Path,
    config: dict[str, Any],
    n_groups: int,
    n_bits: int,
    type_name: str,
    number: int,
) -> None:
    floats: Tensors = {}

    def quantize_(module: str, values: Array) -> Tensors:
        groups = n_groups * values.shape[1] // 64 if n_groups > 1 else 1
        codes, scales = integers(values, groups, n_bits)
        floats[module] = codes * scales.astype(np.float32).repeat(
            values.shape[1] // groups, axis=1
        )
        return packed(groups, n_bits)(module, values)

    folder = write_quantised(tmp_path / "a", config, quantize_)
    with open_hugging_face(folder) as file:
        check(file, type_name, floats.__getitem__)
        assert file.metadata["general.file_type"] == number
        assert file.metadata["general.quantization_version"] == 2
    llamacy.convert(folder, tmp_path / "b.gguf")
    with open_gguf(tmp_path / "b.gguf") as gguf, open_hugging_face(folder) as file:
        for name, tensor in file.tensors.items():
            np.testing.assert_array_equal(gguf.tensors[name].data, tensor.data, name)


def test_whole_models_run_and_are_quantised_again(tmp_path: Path) -> None:
    """As their GGUF files do, and near to the floats they come from."""
    n_vocab = len(random_model.vocabulary()[0])
    ids = list(range(3, min(40, n_vocab)))
    folder = write_quantised(tmp_path / "a", W8, packed(1, 8))
    llamacy.convert(folder, tmp_path / "b.gguf", "Q8_0")
    with (
        llamacy.load(folder, quantize="Q8_0") as model,
        llamacy.load(tmp_path / "b.gguf") as gguf,
    ):
        logits = model.logits(ids)
        np.testing.assert_array_equal(logits, gguf.logits(ids))
    assert "Q8_0" in llamacy.inspect(folder).tensor_types


def test_zero_points_are_subtracted(tmp_path: Path) -> None:
    config = compressed(PACK, num_bits=4, strategy="channel", symmetric=False)
    floats: Tensors = {}

    def quantize_(module: str, values: Array) -> Tensors:
        codes, scales = integers(values, 1, 4)
        points = np.arange(len(values), dtype=np.int8)[:, None] % 16 - 8
        whole = (codes.astype(np.float32) - points) * scales.astype(np.float32)
        floats[module] = bf16(whole.astype(np.float16).astype(np.float32))
        return packed(1, 4)(module, values) | {
            f"{module}weight_zero_point": np.ascontiguousarray(pack(points.T, 4).T)
        }

    with open_hugging_face(write_quantised(tmp_path / "a", config, quantize_)) as file:
        check(file, "BF16", floats.__getitem__)


def test_scales_that_float16_lacks_make_floats(tmp_path: Path) -> None:
    """Of this matrix only; an expert's makes those of all experts floats."""

    def quantize_(module: str, values: Array) -> Tensors:
        codes, scales = integers(values, 1, 8)
        wide = scales.astype(np.float32)
        if "3.mlp.down" in module:
            wide[5] += 1e-6
        return {f"{module}weight": codes, f"{module}weight_scale": wide}

    with open_hugging_face(write_quantised(tmp_path / "a", INT8, quantize_)) as file:
        types = {name: tensor.type.name for name, tensor in file.tensors.items()}
    assert (types["blk.2.ffn_down.weight"], types["blk.3.ffn_down.weight"]) == (
        *("Q8_0", "BF16"),
    )


def test_experts_of_a_layer_have_one_type(tmp_path: Path) -> None:
    parts = mixture_folders.experts()

    def layer(prefix: str) -> Tensors:
        made = mixture_folders.qwen3(prefix, parts)
        for name in [each for each in made if ".experts." in each]:
            codes, scales = integers(made[name], 1, 8)
            wide = scales.astype(np.float32)
            wide[0] += 1e-6 * (".0.mlp.experts.2.up" in name)
            made[name] = codes
            made[f"{name}_scale"] = wide
        return made

    mixture_folders.write(tmp_path, "Qwen3MoeForCausalLM", layer)
    config = mixture_folders.CONFIG | {"architectures": ["Qwen3MoeForCausalLM"]}
    write_json(tmp_path / "config.json", config | {"quantization_config": INT8})
    with open_hugging_face(tmp_path) as file:
        types = [file.tensors[f"blk.{i}.ffn_up_exps.weight"].type.name for i in (0, 1)]
        got = file.tensors["blk.1.ffn_gate_exps.weight"]
        codes, scales = integers(parts[mixture_folders.GATE][1], 1, 8)
        want = codes * scales.astype(np.float32)
        np.testing.assert_array_equal(got.dequantize()[1], want)
    assert types == ["F32", "Q8_0"]  # F32, as the first tensor of floats


def test_settings_of_activations_are_passed_over(tmp_path: Path) -> None:
    made = float8(None, "weight_scale")

    def quantize_(module: str, values: Array) -> Tensors:
        scale = np.array(0.5, np.float32)
        names = ("input_scale", "activation_scale")
        return made(module, values) | {f"{module}{each}": scale for each in names}

    with open_hugging_face(write_quantised(tmp_path / "a", FP8, quantize_)) as file:
        assert len(file.tensors) == 3 + 9 * random_model.N_LAYER
