"""Recipes: what llama.cpp makes of the same tensors.

The expectations were read off files that its `llama_model_quantize` wrote (version
0.3.36 of llama-cpp-python), for models of random weights.
"""

from __future__ import annotations

import pytest

from llamacy.errors import ArgumentError
from llamacy.formats.file_types import (
    FILE_TYPES,
    Shape,
    find_file_type,
    model_shape,
    tensor_type,
)
from llamacy.formats.ggml import GGMLType

gguf = pytest.importorskip("gguf")

MODEL = Shape(n_layer=22, n_gqa=8, has_output=True)


def chosen(
    file_type: str,
    name: str,
    shape: tuple[int, ...] = (256, 256),
    model: Shape = MODEL,
    now: GGMLType = GGMLType.F32,
) -> str:
    return tensor_type(FILE_TYPES[file_type], model, name, shape, now).name


def finer(file_type: str, part: str, model: Shape = MODEL) -> dict[str, list[int]]:
    """Layers of a part by the type they get, but for the main type."""
    found: dict[str, list[int]] = {}
    for layer in range(model.n_layer):
        name = chosen(file_type, f"blk.{layer}.{part}.weight", model=model)
        if name != FILE_TYPES[file_type].base.name:
            found.setdefault(name, []).append(layer)
    return found


def test_experts_are_feed_forward_matrices() -> None:
    for file_type in FILE_TYPES:
        for part in ("ffn_gate", "ffn_up", "ffn_down"):
            want = finer(file_type, part)
            assert finer(file_type, f"{part}_exps") == want
            assert finer(file_type, f"{part}_shexp") == want
            assert finer(file_type, f"{part}.7") == want
        both = finer(file_type, "ffn_gate_up_exps")
        assert both == finer(file_type, "ffn_gate") == finer(file_type, "ffn_up")
    for name, shape in {
        "ffn_gate_inp.weight": (8, 256),
        "ffn_gate_inp_shexp.weight": (1, 256),
        "ffn_down_exps.bias": (8, 256),
    }.items():
        assert chosen("Q4_K_M", f"blk.0.{name}", shape) == "F32"


def test_names_and_numbers_are_those_of_llama_cpp() -> None:
    for name, file_type in FILE_TYPES.items():
        prefix = "ALL" if name == "F32" else "MOSTLY"
        assert file_type.name == name
        assert file_type.number == gguf.LlamaFileType[f"{prefix}_{name}"]


def test_finding_one() -> None:
    assert find_file_type("q4_k_m") is find_file_type("Q4_K")
    assert find_file_type("bf16").base == GGMLType.BF16
    for name in ("Q4_K_XL", "", None):
        with pytest.raises(ArgumentError, match=r"type: wanted one of F32, .*, Q2_K"):
            find_file_type(name)  # type: ignore[arg-type]


ALL = list(range(22))
MORE = [0, 1, 4, 7, 10, 13, 16, 19, 20, 21]


@pytest.mark.parametrize(
    ("file_type", "part", "expected"),
    [
        ("Q2_K", "attn_v", {"Q4_K": ALL}),
        ("Q2_K", "attn_output", {"Q3_K": ALL}),
        ("Q2_K", "ffn_down", {"Q3_K": ALL}),
        ("Q3_K_S", "attn_v", {}),
        ("Q3_K_S", "ffn_down", {}),
        ("Q3_K_M", "attn_v", {"Q5_K": ALL[:2], "Q4_K": ALL[2:]}),
        ("Q3_K_M", "attn_output", {"Q4_K": ALL}),
        ("Q3_K_M", "ffn_down", {"Q5_K": ALL[:1], "Q4_K": ALL[1:]}),
        ("Q3_K_L", "attn_v", {"Q5_K": ALL}),
        ("Q3_K_L", "attn_output", {"Q5_K": ALL}),
        ("Q3_K_L", "ffn_down", {"Q5_K": ALL}),
        ("Q4_K_S", "attn_v", {"Q5_K": ALL[:4]}),
        ("Q4_K_S", "ffn_down", {"Q5_K": ALL[:2]}),
        ("Q4_K_M", "attn_v", {"Q6_K": MORE}),
        ("Q4_K_M", "ffn_down", {"Q6_K": MORE}),
        ("Q4_K_M", "attn_output", {}),
        ("Q5_K_M", "attn_v", {"Q6_K": MORE}),
        ("Q5_K_M", "ffn_down", {"Q6_K": MORE}),
        ("Q5_K_S", "attn_v", {}),
        ("Q6_K", "ffn_down", {}),
        ("Q4_0", "attn_v", {}),
    ],
)
def test_finer_types(file_type: str, part: str, expected: dict[str, list[int]]) -> None:
    assert finer(file_type, part) == expected
    assert finer(file_type, "ffn_up") == {}


def test_values_that_many_heads_share() -> None:
    few = Shape(n_layer=4, n_gqa=2, has_output=True)
    assert finer("Q2_K", "attn_v", few) == {"Q3_K": [0, 1, 2, 3]}
    seventy = Shape(n_layer=80, n_gqa=8, has_output=True)
    assert finer("Q3_K_S", "attn_v", seventy) == {"Q5_K": list(range(80))}
    assert set(finer("Q4_K_M", "attn_v", seventy)) == {"Q5_K", "Q6_K"}


def test_embeddings_and_logits() -> None:
    tied = Shape(n_layer=22, n_gqa=8, has_output=False)
    for name, file_type in FILE_TYPES.items():
        base = file_type.base.name
        fine = base if base in ("F32", "F16", "BF16", "Q8_0") else "Q6_K"
        assert chosen(name, "output.weight") == fine
        assert chosen(name, "token_embd.weight") == base
        assert chosen(name, "token_embd.weight", model=tied) == fine


def test_what_stays_as_it_is() -> None:
    for name in ("blk.0.attn_norm.weight", "blk.0.attn_q.bias", "rope_freqs.weight"):
        assert chosen("Q4_K_M", name, (256,)) == "F32"
        assert chosen("F16", name, (256,), now=GGMLType.BF16) == "BF16"
    for name in ("blk.0.ffn_gate_inp.weight", "blk.0.attn_q_norm.weight"):
        assert chosen("Q4_K_M", name, (8, 256)) == "F32"


@pytest.mark.parametrize(
    ("file_type", "n_in", "expected"),
    [
        *(("Q2_K", 320, "Q4_0"), ("Q3_K_S", 320, "Q4_0"), ("Q4_K_S", 320, "Q5_0")),
        *(("Q5_K_S", 320, "Q5_1"), ("Q6_K", 320, "Q8_0"), ("Q6_K", 172, "F16")),
        *(("Q8_0", 172, "F16"), ("BF16", 172, "BF16"), ("Q4_K_S", 172, "F16")),
    ],
)
def test_rows_that_are_not_whole_blocks(
    file_type: str, n_in: int, expected: str
) -> None:
    assert chosen(file_type, "blk.9.ffn_up.weight", (64, n_in)) == expected


def test_shape_of_a_model() -> None:
    names = ["token_embd.weight", "blk.0.attn_v.weight", "blk.11.attn_v.weight"]
    metadata = {
        "general.architecture": "other",
        "other.attention.head_count": 32,
        "other.attention.head_count_kv": 4,
    }
    assert model_shape(metadata, names) == Shape(12, 8, False)
    assert model_shape({}, [*names, "output.weight"]) == Shape(12, 1, True)
    metadata["other.attention.head_count_kv"] = 0
    assert model_shape(metadata, []) == Shape(0, 1, False)
