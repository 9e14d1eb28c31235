"""Tensors of Qwen 3.5 and Qwen3-Next have the form of llama.cpp's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.hugging_face import open_hugging_face
from llamacy.formats.hugging_face.config import read_config
from llamacy.formats.json_text import JsonObject
from llamacy.ggml.types import GGMLType
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from tests.support.hugging_face import write_json, write_safetensors
from tests.support.quantised_folders import compressed

Array = NDArray[np.float32]
Tensors = dict[str, NDArray[Any]]
N_EMBD, N_VOCAB, N_KEY, N_VALUE, KEY_DIM, N_KERNEL = 32, 20, 2, 6, 8, 4
N_KEYS, N_SHARED = N_KEY * KEY_DIM, N_VALUE // N_KEY
RULE = "model.layers.0.linear_attn."
FULL, LINEAR = "full_attention", "linear_attention"
CONFIG: dict[str, Any] = {
    "hidden_size": N_EMBD,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "vocab_size": N_VOCAB,
    "layer_types": [LINEAR, FULL],
    "linear_num_key_heads": N_KEY,
    "linear_num_value_heads": N_VALUE,
    "linear_key_head_dim": KEY_DIM,
    "tie_word_embeddings": True,
}
QWEN3NEXT: dict[str, Any] = {
    "architectures": ["Qwen3NextForCausalLM"],
    "num_experts": 2,
    "num_experts_per_tok": 1,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
# of heads of values, which head of Hugging Face's is each of GGUF's
HEADS = [0, 3, 1, 4, 2, 5]


def numbered(*shape: int) -> Array:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) * np.float32(0.1)


def rule(value_dim: int) -> Tensors:
    """Return the tensors of Qwen 3.5's layer with a delta rule."""
    n_channels = 2 * N_KEYS + N_VALUE * value_dim
    shapes = {
        "in_proj_qkv.weight": (n_channels, N_EMBD),
        "in_proj_z.weight": (N_VALUE * value_dim, N_EMBD),
        "in_proj_a.weight": (N_VALUE, N_EMBD),
        "in_proj_b.weight": (N_VALUE, N_EMBD),
        "conv1d.weight": (n_channels, 1, N_KERNEL),
        "dt_bias": (N_VALUE,),
        "A_log": (N_VALUE,),
        "norm.weight": (value_dim,),
        "out_proj.weight": (N_EMBD, N_VALUE * value_dim),
    }
    return {name: numbered(*shape) for name, shape in shapes.items()}


def fused_rule(value_dim: int) -> Tensors:
    """Return the tensors of Qwen3-Next's layer with a delta rule."""
    whole = rule(value_dim)
    for name in ("in_proj_qkv", "in_proj_z", "in_proj_a", "in_proj_b"):
        del whole[f"{name}.weight"]
    n_rows = 2 * N_KEYS + 2 * N_VALUE * value_dim
    return whole | {
        "in_proj_qkvz.weight": numbered(n_rows, N_EMBD),
        "in_proj_ba.weight": numbered(2 * N_VALUE, N_EMBD),
    }


def network(layer: int, is_mixture: bool) -> Tensors:
    prefix = f"model.layers.{layer}.mlp."
    if not is_mixture:
        shapes = {"gate_proj": (48, N_EMBD), "up_proj": (48, N_EMBD)}
        shapes |= {"down_proj": (N_EMBD, 48)}
    else:
        shapes = {"gate": (2, N_EMBD), "shared_expert_gate": (1, N_EMBD)}
        for module in ("experts.0", "experts.1", "shared_expert"):
            shapes |= {f"{module}.{name}_proj": (16, N_EMBD) for name in ("gate", "up")}
            shapes |= {f"{module}.down_proj": (N_EMBD, 16)}
    return {f"{prefix}{name}.weight": numbered(*each) for name, each in shapes.items()}


def head(is_mixture: bool) -> Tensors:
    """Return the tensors of an MTP head."""
    norms = ("norm", "pre_fc_norm_embedding", "pre_fc_norm_hidden")
    layer = attending(1) | network(1, is_mixture) | norms_of(1)
    return {
        "mtp.fc.weight": numbered(N_EMBD, 2 * N_EMBD),
        **{f"mtp.{name}.weight": numbered(N_EMBD) for name in norms},
        **{
            name.replace("model.layers.1", "mtp.layers.0"): layer[name]
            for name in layer
        },
    }


def attending(layer: int) -> Tensors:
    attention = {"q": (64, N_EMBD), "k": (16, N_EMBD), "v": (16, N_EMBD)}
    attention["o"] = (N_EMBD, 32)
    prefix = f"model.layers.{layer}.self_attn."
    return {
        **{f"{prefix}{x}_proj.weight": numbered(*attention[x]) for x in attention},
        **{f"{prefix}{x}_norm.weight": numbered(16) for x in "qk"},
    }


def norms_of(layer: int) -> Tensors:
    return {
        f"model.layers.{layer}.{name}_layernorm.weight": numbered(N_EMBD)
        for name in ("input", "post_attention")
    }


def write(
    folder: Path,
    of_rule: Tensors,
    value_dim: int,
    more: Tensors | None = None,
    **changes: Any,
) -> Path:
    folder.mkdir(exist_ok=True)
    config = {"architectures": ["Qwen3_5ForCausalLM"], **CONFIG, **changes}
    is_mixture = "num_experts" in config
    tensors: Tensors = {
        "model.embed_tokens.weight": numbered(N_VOCAB, N_EMBD),
        "model.norm.weight": numbered(N_EMBD),
        **{f"{RULE}{name}": values for name, values in of_rule.items()},
        **attending(1),
        **network(0, is_mixture),
        **network(1, is_mixture),
        **norms_of(0),
        **norms_of(1),
        **(more or {}),
    }
    write_json(folder / "config.json", config | {"linear_value_head_dim": value_dim})
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def read(folder: Path) -> dict[str, Array]:
    """Return the tensors of layer 0, and norms outside it."""
    with open_hugging_face(folder) as file:
        return {name: each.dequantize() for name, each in file.tensors.items()}


def of_heads(rows: Array, n: int) -> Array:
    """Return n rows of each head of values, in GGUF's order."""
    return np.concatenate([rows[head * n : (head + 1) * n] for head in HEADS])


def test_heads_of_values_come_by_turns(tmp_path: Path) -> None:
    d, theirs = 16, rule(16)
    made = read(write(tmp_path / "m", theirs, d))
    ours = {name: made[f"blk.0.{name}"] for name in ("ssm_a", "ssm_dt.bias")}
    np.testing.assert_allclose(ours["ssm_a"], -np.exp(theirs["A_log"][HEADS]))
    np.testing.assert_array_equal(ours["ssm_dt.bias"], theirs["dt_bias"][HEADS])
    n = 2 * N_KEYS
    for name, values in (
        ("attn_qkv", theirs["in_proj_qkv.weight"]),
        ("ssm_conv1d", theirs["conv1d.weight"][:, 0]),
    ):
        want = np.concatenate([values[:n], of_heads(values[n:], d)])
        np.testing.assert_array_equal(made[f"blk.0.{name}.weight"], want)
    for name, module, n in (
        ("attn_gate", "in_proj_z", d),
        ("ssm_alpha", "in_proj_a", 1),
        ("ssm_beta", "in_proj_b", 1),
    ):
        want = of_heads(theirs[f"{module}.weight"], n)
        np.testing.assert_array_equal(made[f"blk.0.{name}.weight"], want)
    want = of_heads(theirs["out_proj.weight"].T, d).T
    np.testing.assert_array_equal(made["blk.0.ssm_out.weight"], want)
    norm = theirs["norm.weight"]
    np.testing.assert_array_equal(made["blk.0.ssm_norm.weight"], norm)
    for name in ("output_norm", "blk.0.attn_norm", "blk.1.post_attention_norm"):
        np.testing.assert_array_equal(made[f"{name}.weight"], numbered(N_EMBD) + 1)
    np.testing.assert_array_equal(made["blk.1.attn_q_norm.weight"], numbered(16) + 1)


def test_a_fused_matrix_is_taken_apart(tmp_path: Path) -> None:
    n_values, theirs = N_SHARED * 4, fused_rule(4)
    made = read(write(tmp_path / "m", theirs, 4, **QWEN3NEXT))
    parts: dict[str, list[Array]] = {name: [] for name in "qkvz"}
    rows = iter(theirs["in_proj_qkvz.weight"])
    for _ in range(N_KEY):
        for name, n in zip("qkvz", (KEY_DIM, KEY_DIM, n_values, n_values), strict=True):
            parts[name] += [next(rows) for _ in range(n)]
    qkv = np.stack(parts["q"] + parts["k"] + parts["v"])
    np.testing.assert_array_equal(made["blk.0.attn_qkv.weight"], qkv)
    np.testing.assert_array_equal(made["blk.0.attn_gate.weight"], np.stack(parts["z"]))
    for ours, name in (("ssm_ba", "in_proj_ba"), ("ssm_out", "out_proj")):
        want = theirs[f"{name}.weight"]
        np.testing.assert_array_equal(made[f"blk.0.{ours}.weight"], want)
    np.testing.assert_array_equal(made["blk.0.ssm_dt.bias"], theirs["dt_bias"])
    np.testing.assert_allclose(made["blk.0.ssm_a"], -np.exp(theirs["A_log"]))


@pytest.mark.parametrize("make", [rule, fused_rule])
def test_a_head_becomes_the_layer_after_the_others(tmp_path: Path, make: Any) -> None:
    changes = QWEN3NEXT if make is fused_rule else {}
    more = head(bool(changes))
    folder = write(tmp_path / "m", make(16), 16, more, **changes)
    made = read(folder)
    projection = made["blk.2.nextn.eh_proj.weight"]
    np.testing.assert_array_equal(projection, more["mtp.fc.weight"])
    for name in ("nextn.enorm", "nextn.hnorm", "nextn.shared_head_norm", "attn_norm"):
        values = made[f"blk.2.{name}.weight"]
        np.testing.assert_array_equal(values, numbered(N_EMBD) + 1)
    ours = {name[6:] for name in made if name.startswith("blk.2.")}
    theirs = {name[6:] for name in made if name.startswith("blk.1.")}
    assert {name for name in ours if "nextn." not in name} == theirs
    with open_hugging_face(folder) as file:
        prefix = file.metadata["general.architecture"]
        assert file.metadata[f"{prefix}.block_count"] == 3
        assert file.metadata[f"{prefix}.nextn_predict_layers"] == 1
        flags = file.metadata[f"{prefix}.attention.recurrent_layers"]
        assert flags.tolist() == [True, False, False]
        _, config = read_hyperparameters(file)
        assert (config.n_layer, config.has_mtp) == (2, True)
        plan = load_executor(file, config)
        assert plan.shapes["blk.2.nextn.eh_proj.weight"] == (N_EMBD, 2 * N_EMBD)


def test_what_is_no_head_of_one_layer_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    more = head(is_mixture=False)
    second = {name.replace("s.0", "s.1"): more[name] for name in more}
    without = {name: more[name] for name in more if "q_proj" not in name}
    for n, tensors in enumerate((more | second, without)):
        with open_hugging_face(write(tmp_path / str(n), rule(16), 16, tensors)) as file:
            assert not any("nextn" in key for key in (*file.tensors, *file.metadata))
        assert "tensors passed over that the model does not need: mtp." in caplog.text
        caplog.clear()


def test_blocks_of_columns_move_as_they_are(tmp_path: Path) -> None:
    """Integers of a quantised folder stay the file's own."""
    for d in (32, 16):
        theirs = rule(d)
        codes = np.arange(N_EMBD * N_VALUE * d).reshape(N_EMBD, -1) % 127
        scales = np.arange(1, N_EMBD + 1, dtype=np.float32)[:, None] / 64
        theirs["out_proj.weight"] = codes.astype(np.int8)
        theirs["out_proj.weight_scale"] = scales
        settings = compressed("int-quantized", num_bits=8, type="int",
                              strategy="channel", symmetric=True)  # fmt: skip
        folder = write(tmp_path / f"{d}", theirs, d, quantization_config=settings)
        if d % 32:
            with pytest.raises(UnsupportedError, match="heads of 16, found Q8_0"):
                open_hugging_face(folder)
            continue
        with open_hugging_face(folder) as file:
            tensor = file.tensors["blk.0.ssm_out.weight"]
            assert tensor.type == GGMLType.Q8_0
            want = of_heads((codes * scales).T.astype(np.float32), d).T
            np.testing.assert_array_equal(tensor.dequantize(), want)


@pytest.mark.parametrize("make", [rule, fused_rule])
def test_other_shapes_are_refused(tmp_path: Path, make: Any) -> None:
    changes = QWEN3NEXT if make is fused_rule else {}
    theirs = make(16)
    for name, values in theirs.items():
        if name in ("norm.weight", "in_proj_ba.weight"):
            continue  # as in all families: when the model is built
        axis = int(name.startswith("out_proj"))
        longer = np.concatenate([values, values.take([0], axis)], axis)
        cases = [longer, values.reshape(-1)[None, None]]
        cases += [values[..., None]] if values.ndim > 1 else []
        for wrong in cases:
            folder = write(tmp_path / "m", theirs | {name: wrong}, 16, **changes)
            with pytest.raises(FormatError, match=f"{name}: shape: wanted [0-9 or]+ "):
                open_hugging_face(folder)


def keys(**changes: Any) -> dict[str, Any]:
    values = {"architectures": ["Qwen3_5ForCausalLM"], **CONFIG, **changes}
    found = read_config(JsonObject(Path("config.json"), values), "name")
    return {
        key.removeprefix("qwen35."): value
        for key, value in found.metadata.values.items()
    }


def test_kinds_of_layers_become_metadata() -> None:
    made = keys(num_hidden_layers=8, layer_types=None)
    flags = made["attention.recurrent_layers"].tolist()
    assert flags == 2 * [True, True, True, False]
    assert made["full_attention_interval"] == 4
    made = keys(num_hidden_layers=6, layer_types=None, full_attention_interval=3)
    assert made["full_attention_interval"] == 3
    kinds = [FULL, LINEAR, FULL]
    made = keys(num_hidden_layers=3, layer_types=kinds)
    flags = made["attention.recurrent_layers"].tolist()
    assert flags == [False, True, False]
    assert "full_attention_interval" not in made
    for wrong, match in (
        ([LINEAR, LINEAR], "wanted full_attention in some layers"),
        ([LINEAR, "sliding_attention"], "wanted full_attention or linear_attention"),
    ):
        with pytest.raises(UnsupportedError, match=match):
            keys(layer_types=wrong)
    with pytest.raises(FormatError, match="layer_types: wanted 2 names"):
        keys(layer_types=[FULL])


def test_sizes_of_a_delta_rule_become_metadata() -> None:
    made = keys(linear_value_head_dim=24, linear_conv_kernel_dim=3)
    sizes = ("conv_kernel", "state_size", "group_count", "time_step_rank", "inner_size")
    assert [made[f"ssm.{key}"] for key in sizes] == [3, 8, 2, 6, 144]
    assert made["rope.dimension_count"] == 4  # a quarter by default
    assert made["rope.dimension_sections"].tolist() == [11, 11, 10, 0]
    with pytest.raises(FormatError, match="num_key_heads: wanted a divisor of 6"):
        keys(linear_num_key_heads=4)
    with pytest.raises(FormatError, match="linear_conv_kernel_dim"):
        keys(linear_conv_kernel_dim=1)
    with pytest.raises(UnsupportedError, match="attention_bias"):
        keys(attention_bias=True)
