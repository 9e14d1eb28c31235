"""Quantised folders give the weights of transformers and of compressed-tensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamacy.formats.gguf.config import read_config
from llamacy.formats.hugging_face import open_hugging_face
from llamacy.formats.hugging_face.families import FAMILIES, OUTSIDE
from llamacy.formats.safetensors.float8 import FLOAT8
from llamacy.model.executors import load_executor
from llamacy.ops.batch import Batch

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")
save_file = pytest.importorskip("safetensors.torch").save_file

FAMILY = "Qwen3ForCausalLM"
SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 256,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
}
DTYPES = {
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E8M0": torch.float8_e8m0fnu,
}


@pytest.mark.parametrize("name", DTYPES)
def test_all_codes_are_those_of_torch(name: str) -> None:
    codes = torch.arange(256, dtype=torch.uint8)
    want = codes.view(DTYPES[name]).float().numpy()
    got, is_nan = FLOAT8[name], np.isnan(want)
    np.testing.assert_array_equal(np.isnan(got), is_nan)
    bits = [each[~is_nan].view(np.uint32) for each in (got, want)]
    np.testing.assert_array_equal(*bits)


def model(dtype: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.Qwen3Config(**SIZES, initializer_range=0.2)
    return transformers.AutoModelForCausalLM.from_config(config).to(dtype)


def write(
    folder: Path, made: Any, tensors: dict[str, Any], quantization: dict[str, Any]
) -> None:
    """Write a folder with other tensors than the model's own."""
    made.save_pretrained(folder)
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"quantization_config": quantization}
    path.write_text(json.dumps(config))


def check(folder: Path, want: dict[str, Any]) -> dict[str, str]:
    """Compare all weights with `want`, by transformers' names; return their types."""
    types = {}
    with open_hugging_face(folder) as file:
        for name, tensor in file.tensors.items():
            *_, part, _ = name.split(".")
            parts = OUTSIDE if not name.startswith("blk.") else FAMILIES[FAMILY].layer
            theirs = next(key for key, ours in parts.items() if ours == part)
            if name.startswith("blk."):
                theirs = f"model.layers.{name.split('.')[1]}.{theirs}"
            value = want[f"{theirs}.weight"]
            got = torch.from_numpy(tensor.dequantize()).to(value.dtype)
            assert torch.equal(got, value), name
            types[part] = tensor.type.name
    return types


def float8(weight: Any, block: tuple[int, int] | None, scale_dtype: Any) -> Any:
    """Return random codes and scales: one for each block, or for all."""
    codes = torch.randint(0, 254, weight.shape, dtype=torch.uint8)
    codes[codes == 127] = 0
    grid = [-(-n // size) for n, size in zip(weight.shape, block or (), strict=False)]
    scales = torch.rand(grid) / 100
    if scale_dtype is torch.uint8:
        return codes.view(torch.float8_e4m3fn), (scales * 1000 + 110).to(scale_dtype)
    return codes.view(torch.float8_e4m3fn), scales.to(scale_dtype)


@pytest.mark.parametrize(
    ("block", "scale_dtype", "dtype"),
    [
        ((128, 128), torch.float32, torch.bfloat16),
        ((128, 128), torch.bfloat16, torch.bfloat16),
        ((128, 128), torch.float32, torch.float32),
        ((64, 32), torch.uint8, torch.bfloat16),
        (None, torch.bfloat16, torch.bfloat16),
        (None, torch.float32, torch.float16),
    ],
)
def test_fp8_gives_the_weights_of_transformers(
    tmp_path: Path, block: tuple[int, int] | None, scale_dtype: Any, dtype: Any
) -> None:
    pytest.importorskip("accelerate", reason="transformers reads FP8 with accelerate")
    made = model(dtype)
    tensors: dict[str, Any] = {}
    for name, weight in made.state_dict().items():
        tensors[name] = weight
        if "_proj" in name:
            codes, scales = float8(weight, block, scale_dtype)
            tensors |= {name: codes, f"{name}_scale_inv": scales}
    quantization = {"quant_method": "fp8", "activation_scheme": "dynamic"}
    if scale_dtype is torch.uint8:
        quantization["scale_fmt"] = "ue8m0"
    write(tmp_path, made, tensors, quantization | {"weight_block_size": block})
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.dtype == dtype
    types = check(tmp_path, loaded.state_dict())
    names = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}
    assert types["ffn_up"] == types["token_embd"] == names[dtype]


FLOAT = {"type": "float"}
PACK, INT, FLOATS = "pack-quantized", "int-quantized", "float-quantized"
GROUP, BLOCK = {"strategy": "group"}, {"strategy": "block"}
ROWS, WHOLE = {"strategy": "channel"}, {"strategy": "tensor"}
ASYMMETRIC = {"symmetric": False}


@pytest.mark.parametrize("scale_dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize(
    ("layout", "weights", "type_name"),
    [
        (PACK, {"num_bits": 4, "group_size": 32, **GROUP}, "Q4_0"),
        (PACK, {"num_bits": 4, "group_size": 128, **GROUP}, "Q4_0"),
        (PACK, {"num_bits": 4, "group_size": 16, **GROUP}, None),
        (PACK, {"num_bits": 4, **ROWS}, "Q4_0"),
        (PACK, {"num_bits": 4, **WHOLE}, "Q4_0"),
        (PACK, {"num_bits": 8, **ROWS}, "Q8_0"),
        (PACK, {"num_bits": 8, "group_size": 64, **GROUP}, "Q8_0"),
        (PACK, {"num_bits": 4, "group_size": 128, **GROUP, **ASYMMETRIC}, None),
        (PACK, {"num_bits": 4, **ROWS, **ASYMMETRIC}, None),
        (PACK, {"num_bits": 8, "group_size": 32, **GROUP, **ASYMMETRIC}, None),
        (INT, {"num_bits": 8, **ROWS}, "Q8_0"),
        (INT, {"num_bits": 8, **WHOLE}, "Q8_0"),
        (INT, {"num_bits": 4, "group_size": 32, **GROUP}, "Q8_0"),
        (INT, {"num_bits": 8, **ROWS, **ASYMMETRIC}, None),
        (FLOATS, {"num_bits": 8, **FLOAT, **ROWS}, None),
        (FLOATS, {"num_bits": 8, **FLOAT, **WHOLE}, None),
        (FLOATS, {"num_bits": 8, **FLOAT, **BLOCK, "block_structure": [96, 80]}, None),
    ],
)
def test_compressed_tensors_are_decompressed_alike(
    tmp_path: Path,
    layout: str,
    weights: dict[str, Any],
    type_name: str | None,
    scale_dtype: Any,
) -> None:
    """Rounded to the type of the scales where a type of ggml's keeps more."""
    pytest.importorskip("compressed_tensors", reason="compressed-tensors is absent")
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    made = model(scale_dtype)
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights))
    compressor = BaseCompressor.get_value_from_registry(layout)
    want = dict(made.state_dict())
    tensors = dict(want)
    for name, weight in want.items():
        if "_proj" not in name:
            continue
        state = {"weight": tensors.pop(name), **parameters(weight, scheme.weights)}
        packed = compressor.compress(state, scheme)
        tensors |= {f"{name.removesuffix('weight')}{k}": v for k, v in packed.items()}
        want[name] = compressor.decompress(packed, scheme)["weight"]
        assert want[name].std() > 0
    group = {"targets": ["Linear"], "weights": weights, "input_activations": None}
    quantization = {
        "quant_method": "compressed-tensors",
        "format": layout,
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
        "quantization_status": "compressed",
    }
    write(tmp_path, made, tensors, quantization)
    types = check(tmp_path, want)
    if scale_dtype is torch.float32:  # few of which float16 represents
        type_name = None
    floats = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32"}
    assert types["ffn_up"] == types["attn_q"] == (type_name or floats[scale_dtype])


def parameters(weight: Any, args: Any) -> dict[str, Any]:
    """Return scales and zero points that use all integers of a matrix."""
    n_out, n_in = weight.shape
    strategy, width = args.strategy, args.group_size or n_in
    shape = {
        "tensor": (1,),
        "channel": (n_out, 1),
        "group": (n_out, n_in // width),
        "block": tuple(
            -(-n // size) for n, size in zip(weight.shape, (96, 80), strict=True)
        ),
    }[strategy]
    scales = (torch.rand(shape) + 0.5) / (
        2**args.num_bits if args.type == "int" else 400
    )
    made = {"weight_scale": scales.to(weight.dtype)}
    if not args.symmetric:
        bound = 2 ** (args.num_bits - 1)
        made["weight_zero_point"] = torch.randint(
            -bound, bound, shape, dtype=torch.int8
        )
    return made


@pytest.mark.parametrize("symmetric", [True, False])
def test_whole_models_give_the_logits_of_transformers(
    tmp_path: Path, symmetric: bool
) -> None:
    """With weights as transformers itself dequantises them."""
    pytest.importorskip("compressed_tensors", reason="compressed-tensors is absent")
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

    weights = {"num_bits": 4, "group_size": 64, "symmetric": symmetric}
    scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**weights))
    made = model(torch.float32)
    tensors = dict(made.state_dict())
    for name in [each for each in tensors if "_proj" in each]:
        weight = tensors.pop(name)
        state = {"weight": weight, **parameters(weight, scheme.weights)}
        state["weight_scale"] = state["weight_scale"].half().float()
        compressor = BaseCompressor.get_value_from_registry(PACK)
        for key, value in compressor.compress(state, scheme).items():
            tensors[f"{name.removesuffix('weight')}{key}"] = value
    quantization = {
        "quant_method": "compressed-tensors",
        "format": PACK,
        "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
        "ignore": ["lm_head"],
        "quantization_status": "compressed",
    }
    write(tmp_path, made, tensors, quantization)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path,
        quantization_config=transformers.CompressedTensorsConfig(dequantize=True),
    )
    ids = np.random.default_rng(0).integers(0, SIZES["vocab_size"], 60).tolist()
    with torch.no_grad():
        want = loaded(torch.tensor([ids])).logits[0].float().numpy()
    with open_hugging_face(tmp_path) as file:
        executor = load_executor(
            file,
            read_config(file),
            executor="reference",
            n_threads=1,
            kv_type="f32",
        )
    got = executor.forward(Batch.of(ids, executor.new_sequence(), "all"))
    assert np.abs(got - want).max() / want.std() <= 1e-4
