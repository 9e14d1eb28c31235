"""Experts of folders, one by one or merged, are those of GGUF files to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hugging_face import write_json, write_tensors
from numpy.typing import NDArray

from llamacy.errors import ClosedError, FormatError, UnsupportedError
from llamacy.formats.hugging_face import HuggingFaceFolder, open_hugging_face
from llamacy.formats.safetensors_folder import open_safetensors
from llamacy.model_files import open_model

Array = NDArray[Any]
Tensors = dict[str, Array]

N_EXPERT, N_FF, N_EMBD, N_VOCAB = 3, 64, 32, 20
CONFIG: dict[str, Any] = {
    "hidden_size": N_EMBD,
    "intermediate_size": N_FF,
    "max_position_embeddings": 64,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": N_VOCAB,
    "num_local_experts": N_EXPERT,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": N_FF,
    "norm_topk_prob": True,
}
GATE, UP, DOWN = (f"ffn_{part}_exps" for part in ("gate", "up", "down"))
RNG = np.random.default_rng(0)


def noise(*shape: int, dtype: Any = np.float32) -> Array:
    return RNG.standard_normal(shape, np.float32).astype(dtype)


def experts(dtype: Any = np.float32) -> dict[str, Array]:
    """What GGUF has for a layer: (n_expert, n_out, n_in) by part."""
    gate, up = (noise(N_EXPERT, N_FF, N_EMBD, dtype=dtype) for _ in "gu")
    return {GATE: gate, UP: up, DOWN: noise(N_EXPERT, N_EMBD, N_FF, dtype=dtype)}


def others(prefix: str, router: str) -> Tensors:
    """The tensors of a layer that are no experts."""
    names = [f"self_attn.{each}_proj" for each in "qkvo"]
    made = {f"{prefix}{name}.weight": noise(N_EMBD, N_EMBD) for name in names}
    for name in ("input", "post_attention"):
        made[f"{prefix}{name}_layernorm.weight"] = noise(N_EMBD)
    return made | {f"{prefix}{router}.weight": noise(N_EXPERT, N_EMBD)}


def write(folder: Path, family: str, layer: Callable[[str], Tensors]) -> Path:
    """Write a model of two layers; `layer` makes one's tensors after a prefix."""
    tensors = {
        "model.embed_tokens.weight": noise(N_VOCAB, N_EMBD),
        "model.norm.weight": noise(N_EMBD),
        "lm_head.weight": noise(N_VOCAB, N_EMBD),
    }
    for i in range(2):
        tensors |= layer(f"model.layers.{i}.")
    folder.mkdir(exist_ok=True)
    write_tensors(folder, tensors)
    write_json(folder / "config.json", CONFIG | {"architectures": [family]})
    return folder


def one_by_one(parts: dict[str, Array], prefix: str, *names: str) -> Tensors:
    return {
        f"{prefix}experts.{i}.{name}.weight": np.ascontiguousarray(parts[part][i])
        for part, name in zip((GATE, UP, DOWN), names, strict=True)
        for i in range(N_EXPERT)
    }


def mixtral(prefix: str, parts: dict[str, Array]) -> Tensors:
    module = f"{prefix}block_sparse_moe."
    return others(prefix, "block_sparse_moe.gate") | one_by_one(
        parts, module, "w1", "w3", "w2"
    )


def merged(prefix: str, parts: dict[str, Array]) -> Tensors:
    gate_up = np.concatenate([parts[GATE], parts[UP]], axis=1)
    return others(prefix, "mlp.gate") | {
        f"{prefix}mlp.experts.gate_up_proj": gate_up,
        f"{prefix}mlp.experts.down_proj": parts[DOWN],
    }


def qwen3(prefix: str, parts: dict[str, Array]) -> Tensors:
    norms = {f"{prefix}self_attn.{each}_norm.weight": noise(16) for each in "qk"}
    names = ("gate_proj", "up_proj", "down_proj")
    made = others(prefix, "mlp.gate") | norms
    return made | one_by_one(parts, f"{prefix}mlp.", *names)


def gpt_oss(prefix: str, biases: dict[str, Array]) -> Tensors:
    gate_up = np.stack([biases[GATE], biases[UP]], axis=2)
    made = others(prefix, "mlp.router")
    made |= {f"{prefix}self_attn.sinks": noise(2)}
    made |= {f"{prefix}mlp.router.bias": noise(N_EXPERT)}
    return made | {
        f"{prefix}mlp.experts.gate_up_proj_bias": gate_up.reshape(N_EXPERT, -1),
        f"{prefix}mlp.experts.down_proj_bias": biases[DOWN],
    }


def turned(prefix: str, parts: dict[str, Array], biases: dict[str, Array]) -> Tensors:
    by_turns = np.stack([parts[GATE], parts[UP]], axis=2).reshape(N_EXPERT, -1, N_EMBD)
    return gpt_oss(prefix, biases) | {
        f"{prefix}mlp.experts.gate_up_proj": np.ascontiguousarray(
            by_turns.swapaxes(1, 2)
        ),
        f"{prefix}mlp.experts.down_proj": np.ascontiguousarray(
            parts[DOWN].swapaxes(1, 2)
        ),
    }


def some_biases() -> dict[str, Array]:
    return {part: noise(N_EXPERT, n) for part, n in sizes().items()}


def sizes() -> dict[str, int]:
    return {GATE: N_FF, UP: N_FF, DOWN: N_EMBD}


FORMS = {
    "mixtral": ("MixtralForCausalLM", mixtral),
    "mixtral, merged": ("MixtralForCausalLM", merged),
    "qwen3": ("Qwen3MoeForCausalLM", qwen3),
    "gpt-oss": (
        "GptOssForCausalLM",
        lambda prefix, parts: turned(prefix, parts, some_biases()),
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("form", FORMS)
def test_floats(tmp_path: Path, form: str, dtype: Any) -> None:
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


def test_biases_and_sinks(tmp_path: Path) -> None:
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


VALUES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])


def blocks_of(n_out: int, n_in: int) -> tuple[Array, Array, Array]:
    """Random blocks and scales, and the weights by OpenAI's own description of them."""
    shape = (N_EXPERT, n_out, n_in // 32)
    blocks = RNG.integers(0, 256, (*shape, 16), np.uint8)
    scales = RNG.integers(120, 130, shape, np.uint8)
    pairs = np.stack([VALUES[blocks & 15], VALUES[blocks >> 4]], axis=-1)
    weights = pairs.reshape(*shape, 32) * 2.0 ** (scales[..., None] - 127.0)
    return blocks, scales, weights.reshape(N_EXPERT, n_out, n_in).astype(np.float32)


def mxfp4(folder: Path, change: Callable[[Tensors], None] | None = None) -> Tensors:
    """Write a model of such blocks; return a layer's weights, before gate and up part.

    change : may spoil the layer's tensors.
    """
    gate_up, down = blocks_of(2 * N_FF, N_EMBD), blocks_of(N_EMBD, N_FF)

    def layer(prefix: str) -> Tensors:
        made = gpt_oss(prefix, some_biases())
        for name, (blocks, scales, _) in (("gate_up", gate_up), ("down", down)):
            made[f"{prefix}mlp.experts.{name}_proj_blocks"] = blocks
            made[f"{prefix}mlp.experts.{name}_proj_scales"] = scales
        if change is not None:
            change(made)
        return made

    write(folder, "GptOssForCausalLM", layer)
    return {GATE: gate_up[2][:, ::2], UP: gate_up[2][:, 1::2], DOWN: down[2]}


def test_mxfp4(tmp_path: Path) -> None:
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
        ("down_proj_scales", noise(3, 32, 2), FormatError, "dtype: wanted U8"),
        (
            "down_proj_blocks",
            np.zeros((3, 32, 3, 16), np.uint8),
            *(FormatError, r"shape: wanted \(3, 32, 2, 16\), found \(3, 32, 3, 16\)"),
        ),
        ("down_proj", noise(3, 64, 32), UnsupportedError, "experts are known to have"),
        ("down_proj_bias", np.zeros((3, 32), np.uint8), FormatError, "wanted floats"),
    ],
)
def test_what_is_wrong_with_blocks(
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
        ({"3.w1.weight": noise(64, 32)}, UnsupportedError, r"experts\.3\.w1\.weight"),
        ({"00.w1.weight": noise(64, 32)}, UnsupportedError, r"experts\.00\.w1"),
        ({"1.w1.bias": noise(64)}, UnsupportedError, r"1\.w1\.bias"),
        ({"1.w1.weight": noise(32, 64)}, FormatError, r"wanted \(64, 32\), found"),
        (
            {"1.w1.weight": noise(64, 32, dtype=np.float16)},
            *(FormatError, "dtype: wanted F32, as of the first expert, found F16"),
        ),
    ],
)
def test_what_is_wrong_with_experts_one_by_one(
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


def test_two_kinds_of_names(tmp_path: Path) -> None:
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


def test_experts_in_a_dense_model_and_bytes_elsewhere(tmp_path: Path) -> None:
    def layer(prefix: str) -> Tensors:
        return merged(prefix, experts())

    with pytest.raises(UnsupportedError, match="one that the family qwen2 has"):
        opened(write(tmp_path / "model", "Qwen2ForCausalLM", layer))

    def quantised(prefix: str) -> Tensors:
        name = f"{prefix}self_attn.q_proj.weight"
        return layer(prefix) | {name: np.zeros((N_EMBD, N_EMBD), np.uint8)}

    path = write(tmp_path / "model", "MixtralForCausalLM", quantised)
    with pytest.raises(UnsupportedError, match="dtype: wanted floats, found bytes"):
        opened(path)
    assert len(open_safetensors(path).bytes) == 2
