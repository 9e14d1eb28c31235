"""Experts of folders, one by one or merged, equal those of GGUF files to the bit."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamacy.errors import ClosedError, FormatError, UnsupportedError
from llamacy.formats.hugging_face import HuggingFaceFolder, open_hugging_face
from llamacy.formats.safetensors.folder import open_safetensors
from llamacy.model_files.converting import convert
from llamacy.model_files.opening import open_model
from tests.support.hugging_face import write_json
from tests.support.mixture_folders import (
    CONFIG,
    DOWN,
    FORMS,
    GATE,
    N_EMBD,
    N_EXPERT,
    N_FF,
    UP,
    Array,
    Tensors,
    experts,
    merged,
    mixtral,
    mxfp4,
    noise,
    some_biases,
    turned,
    write,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("form", FORMS)
def test_float_experts_of_every_form_are_read(
    tmp_path: Path, form: str, dtype: Any
) -> None:
    family, layer = FORMS[form]
    want = experts(dtype)
    folder = write(tmp_path / "model", family, lambda prefix: layer(prefix, want))
    with open_model(folder) as file:
        for part, values in want.items():
            tensor = file.tensors[f"blk.1.{part}.weight"]
            assert tensor.shape == values.shape
            assert tensor.n_bytes == values.nbytes
            assert tensor.type.name == {4: "F32", 2: "F16"}[values.itemsize]
            assert tensor.data.tobytes() == values.tobytes()
            tensor.release()
            np.testing.assert_array_equal(tensor.dequantize(), values)
            assert tensor.sample()
        router = file.tensors["blk.0.ffn_gate_inp.weight"]
        assert (router.type.name, router.shape) == ("F32", (N_EXPERT, N_EMBD))
        assert len(router.data) == router.n_bytes
        names = [name for name in file.tensors if name.startswith("blk.1.")]
    weights = [name for name in names if name.endswith("_exps.weight")]
    assert weights == [f"blk.1.{part}.weight" for part in (GATE, UP, DOWN)]
    with pytest.raises(ClosedError):
        _ = tensor.data


def test_biases_and_sinks_of_gpt_oss_are_read(tmp_path: Path) -> None:
    want = some_biases()
    parts = experts()
    folder = write(
        tmp_path / "model", "GptOssForCausalLM", lambda each: turned(each, parts, want)
    )
    with open_model(folder) as file:
        for part, values in want.items():
            bias = file.tensors[f"blk.0.{part}.bias"]
            assert (bias.type.name, bias.shape) == ("F32", values.shape)
            assert bias.data.tobytes() == values.tobytes()
        assert file.tensors["blk.0.attn_sinks.weight"].shape == (2,)


def test_mxfp4_experts_are_read_to_the_bit(tmp_path: Path) -> None:
    want = mxfp4(tmp_path / "model")
    with open_model(tmp_path / "model") as file:
        assert file.metadata["general.file_type"] == 38
        assert file.metadata["general.quantization_version"] == 2
        for part, weights in want.items():
            tensor = file.tensors[f"blk.1.{part}.weight"]
            assert (tensor.type.name, tensor.shape) == ("MXFP4", weights.shape)
            assert len(tensor.data) == tensor.n_bytes == weights.size // 32 * 17
            np.testing.assert_array_equal(tensor.dequantize(), weights)
            tensor.release()
            assert len(tensor.sample()) >= 16
        one = file.fingerprint()
    mxfp4(tmp_path / "model")
    with open_model(tmp_path / "model") as file:
        assert file.fingerprint() != one


def opened(path: Path) -> HuggingFaceFolder:
    return open_hugging_face(path)


EXPERT = "model.layers.1.mlp.experts"


@pytest.mark.parametrize(
    ("name", "to", "kind", "message"),
    [
        ("down_proj_blocks", None, FormatError, "down_proj_blocks: wanted a tensor"),
        ("down_proj_scales", None, FormatError, "down_proj_scales: wanted a tensor"),
        ("gate_up_proj_bias", None, FormatError, "gate_up_proj_bias: wanted a ten"),
        ("down_proj_scales", noise(3, 128, 8), FormatError, "dtype: wanted U8"),
        (
            "down_proj_blocks",
            np.zeros((3, 128, 9, 16), np.uint8),
            FormatError,
            r"shape: wanted \(3, 128, 8, 16\), found \(3, 128, 9, 16\)",
        ),
        (
            "down_proj",
            noise(3, N_FF, N_EMBD),
            UnsupportedError,
            "experts are known to have",
        ),
        (
            "down_proj_bias",
            np.zeros((3, N_EMBD), np.uint8),
            FormatError,
            "wanted floats",
        ),
    ],
)
def test_wrong_mxfp4_blocks_are_refused(
    tmp_path: Path, name: str, to: Array | None, kind: type[FormatError], message: str
) -> None:
    def change(tensors: Tensors) -> None:
        full = f"{EXPERT}.{name}"
        if to is not None:
            tensors[full] = to
        else:
            tensors.pop(full, None)

    mxfp4(tmp_path / "model", change)
    with pytest.raises(kind, match=message):
        opened(tmp_path / "model")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"2.w1.weight": None}, FormatError, r"experts\.2\.w1\.weight: wanted a tens"),
        (
            {"3.w1.weight": noise(N_FF, N_EMBD)},
            UnsupportedError,
            r"experts\.3\.w1\.weight",
        ),
        ({"00.w1.weight": noise(N_FF, N_EMBD)}, UnsupportedError, r"experts\.00\.w1"),
        ({"1.w1.bias": noise(N_FF)}, UnsupportedError, r"1\.w1\.bias"),
        (
            {"1.w1.weight": noise(N_EMBD, N_FF)},
            FormatError,
            r"wanted \(256, 128\), found",
        ),
        (
            {"1.w1.weight": noise(N_FF, N_EMBD, dtype=np.float16)},
            FormatError,
            "dtype: wanted F32, like expert 0, found F16",
        ),
    ],
)
def test_wrong_single_experts_are_refused(
    tmp_path: Path,
    changes: dict[str, Array | None],
    kind: type[FormatError],
    message: str,
) -> None:
    def layer(prefix: str) -> Tensors:
        made: dict[str, Any] = mixtral(prefix, experts())
        made |= {
            f"{prefix}block_sparse_moe.experts.{name}": values
            for name, values in changes.items()
        }
        return {name: values for name, values in made.items() if values is not None}

    with pytest.raises(kind, match=message):
        opened(write(tmp_path / "model", "MixtralForCausalLM", layer))


def test_experts_under_two_kinds_of_names_are_refused(tmp_path: Path) -> None:
    def both(prefix: str) -> Tensors:
        return mixtral(prefix, experts()) | merged(prefix, experts())

    with pytest.raises(FormatError, match="one of its kind, found it under two names"):
        opened(write(tmp_path / "model", "MixtralForCausalLM", both))

    def routed(prefix: str) -> Tensors:
        made = both(prefix)
        del made[f"{prefix}mlp.gate.weight"]
        return made

    with pytest.raises(UnsupportedError, match=r"block_sparse_moe\.experts\.0\.w1"):
        opened(write(tmp_path / "model", "MixtralForCausalLM", routed))


def test_experts_in_a_dense_model_and_blocks_elsewhere_are_refused(
    tmp_path: Path,
) -> None:
    def layer(prefix: str) -> Tensors:
        return merged(prefix, experts())

    with pytest.raises(UnsupportedError, match="one that the family qwen2 has"):
        opened(write(tmp_path / "model", "Qwen2ForCausalLM", layer))

    def quantised(prefix: str) -> Tensors:
        name = f"{prefix}self_attn.q_proj.weight"
        return layer(prefix) | {name: np.zeros((N_EMBD, N_EMBD), np.uint8)}

    path = write(tmp_path / "model", "MixtralForCausalLM", quantised)
    with pytest.raises(UnsupportedError, match="dtype: wanted floats, found U8"):
        opened(path)
    assert len(open_safetensors(path).bytes) == 2


@pytest.mark.parametrize("form", ["mixtral", "gpt-oss"])
@pytest.mark.parametrize("file_type", [None, "Q8_0"])
def test_experts_are_assembled_one_tensor_at_a_time(
    tmp_path: Path, form: str, file_type: str | None
) -> None:
    """Of six tensors: the one being written, the one before it, and buffers."""
    family, layer = FORMS[form]
    folder = write(tmp_path / "model", family, lambda prefix: layer(prefix, experts()))
    n_bytes = 4 * N_EXPERT * N_FF * N_EMBD  # a layer's gate, up or down
    tracemalloc.start()
    try:
        convert(folder, tmp_path / "new.gguf", file_type, n_threads=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_bytes < peak < (5 if file_type else 3) * n_bytes


@pytest.mark.parametrize(
    ("n_expert", "message"), [(2, r"experts\.2\.w\d\.weight$"), (512, "experts.3.w1")]
)
def test_a_wrong_number_of_experts_names_the_tensor(
    tmp_path: Path, n_expert: int, message: str
) -> None:
    path = write(
        tmp_path / "model",
        "MixtralForCausalLM",
        lambda prefix: mixtral(prefix, experts()),
    )
    changes = {"architectures": ["MixtralForCausalLM"], "num_local_experts": n_expert}
    write_json(path / "config.json", CONFIG | changes)
    with pytest.raises(FormatError, match=message):
        opened(path)
