"""Recipes choose the same types as llama.cpp for the same tensors.

The expectations were observed with its `llama_model_quantize` (version 0.3.36 of
llama-cpp-python), on small models of 32 shapes, dense models and mixtures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llamacy.formats.recipes import ModelShape, model_shape, needs_imatrix, tensor_type
from llamacy.ggml.file_types import FILE_TYPES
from llamacy.ggml.types import GGMLType

PARTS = (
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
)
EXPERTS = (
    "ffn_gate_inp",
    "ffn_gate_exps",
    "ffn_up_exps",
    "ffn_down_exps",
    "ffn_gate_shexp",
    "ffn_up_shexp",
    "ffn_down_shexp",
)


def model_of(
    n_layer: int = 22,
    n_gqa: int = 8,
    has_output: bool = True,
    architecture: str = "llama",
    n_expert: int = 0,
    parts: tuple[str, ...] = PARTS,
) -> ModelShape:
    metadata = {
        "general.architecture": architecture,
        f"{architecture}.block_count": n_layer,
        f"{architecture}.attention.head_count": 8 * n_gqa,
        f"{architecture}.attention.head_count_kv": 8,
        f"{architecture}.expert_count": n_expert,
    }
    if n_expert:
        parts += EXPERTS
    names = [f"blk.{layer}.{part}.weight" for layer in range(n_layer) for part in parts]
    return model_shape(metadata, names + ["output.weight"] * has_output)


MODEL = model_of()
MIXTURE = model_of(n_expert=8)


def chosen(
    file_type: str,
    name: str,
    shape: tuple[int, ...] = (256, 256),
    model: ModelShape = MODEL,
    now: GGMLType = GGMLType.F32,
    has_imatrix: bool = False,
) -> str:
    return tensor_type(
        FILE_TYPES[file_type], model, name, shape, now, has_imatrix=has_imatrix
    ).name


def finer(
    file_type: str, part: str, model: ModelShape = MODEL, has_imatrix: bool = False
) -> dict[str, list[int]]:
    """Return the layers of a part by their type, without those of the main type."""
    found: dict[str, list[int]] = {}
    for layer in range(model.n_layer):
        name = chosen(
            file_type,
            f"blk.{layer}.{part}.weight",
            model=model,
            has_imatrix=has_imatrix,
        )
        if name != FILE_TYPES[file_type].base.name:
            found.setdefault(name, []).append(layer)
    return found


# File types whose mixtures have no other rules than dense models.
USUAL = [each for each in FILE_TYPES if each[:2] != "IQ" and each not in ("MXFP4_MOE",)]
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
        ("Q2_K_S", "attn_v", {"Q4_K": ALL}),
        ("Q2_K_S", "ffn_down", {"Q4_K": ALL[:2]}),
        ("IQ4_XS", "attn_v", {"Q5_K": ALL}),
        ("IQ4_XS", "ffn_down", {"Q5_K": ALL[:2]}),
        ("IQ3_M", "attn_output", {"Q4_K": ALL}),
        ("IQ3_M", "ffn_down", {"Q4_K": ALL[:2]}),
        ("IQ3_XXS", "attn_q", {"IQ2_S": ALL}),
        ("IQ3_XXS", "ffn_down", {"Q4_K": ALL[:2], "Q3_K": ALL[2:]}),
        ("IQ2_M", "attn_v", {"Q4_K": ALL}),
        ("IQ2_M", "attn_output", {"IQ3_S": ALL}),
        ("IQ2_XXS", "ffn_down", {"Q2_K": ALL[:2]}),
        ("IQ1_S", "attn_output", {"IQ2_XXS": ALL}),
        ("TQ1_0", "ffn_down", {}),
    ],
)
def test_some_layers_get_a_finer_type(
    file_type: str, part: str, expected: dict[str, list[int]]
) -> None:
    assert finer(file_type, part) == expected
    assert finer(file_type, "ffn_up") == {}


@pytest.mark.parametrize(
    ("file_type", "part", "expected"),
    [
        ("Q4_0", "ffn_down", {"Q4_1": ALL[:2]}),
        ("Q5_0", "ffn_down", {"Q5_1": ALL[:2]}),
        ("IQ4_XS", "ffn_down", {}),
        ("IQ3_XXS", "ffn_down", {}),
        ("Q4_K_M", "ffn_down", {"Q6_K": MORE}),
    ],
)
def test_an_importance_matrix_changes_some_recipes(
    file_type: str, part: str, expected: dict[str, list[int]]
) -> None:
    assert finer(file_type, part, has_imatrix=True) == expected
    assert finer(file_type, part) != expected or file_type == "Q4_K_M"


def test_the_middle_of_a_network_is_coarser_in_iq3_xs() -> None:
    assert finer("IQ3_XS", "ffn_up") == {"IQ3_XXS": ALL[2:19]}
    assert finer("IQ3_XS", "ffn_gate") == {"IQ3_XXS": ALL[2:19]}
    assert finer("IQ3_XS", "attn_k") == {"IQ3_XXS": ALL}


def test_only_experts_are_mxfp4() -> None:
    experts = "blk.3.ffn_up_exps.weight"
    assert chosen("MXFP4_MOE", experts, (8, 256, 256), MIXTURE) == "MXFP4"
    for part in ("attn_q", "attn_v", "ffn_up_shexp", "ffn_down"):
        assert chosen("MXFP4_MOE", f"blk.3.{part}.weight") == "Q8_0"
    assert chosen("MXFP4_MOE", "output.weight") == "Q8_0"


def test_falcon_has_rules_of_its_own() -> None:
    falcon = model_of(architecture="falcon")
    assert chosen("Q4_K_M", "output.weight", model=falcon) == "Q8_0"
    assert finer("Q4_K_M", "ffn_down", falcon) == {
        "Q6_K": ALL[:1],
        "Q5_K": [each for each in MORE if each],
    }
    assert finer("Q3_K_M", "attn_output", falcon) == {}
    assert finer("IQ2_M", "attn_output", falcon) == {"IQ3_S": ALL}


def test_small_types_need_an_importance_matrix_but_not_for_embeddings() -> None:
    name = "blk.0.attn_q.weight"
    for file_type, one, needed in (
        ("IQ2_XXS", GGMLType.IQ2_XXS, True),
        ("IQ3_XXS", GGMLType.IQ3_XXS, True),
        ("IQ3_S", GGMLType.IQ3_S, False),
        ("Q2_K_S", GGMLType.Q2_K, True),
        ("Q2_K", GGMLType.Q2_K, False),
        ("IQ2_XXS", GGMLType.Q2_K, False),
    ):
        assert needs_imatrix(FILE_TYPES[file_type], name, one) == needed
        assert not needs_imatrix(FILE_TYPES[file_type], "token_embd.weight", one)


def test_values_shared_by_many_heads_get_a_finer_type() -> None:
    few = model_of(n_layer=4, n_gqa=2)
    assert finer("Q2_K", "attn_v", few) == {"Q3_K": [0, 1, 2, 3]}
    seventy = model_of(n_layer=80)
    assert finer("Q3_K_S", "attn_v", seventy) == {"Q5_K": list(range(80))}
    assert set(finer("Q4_K_M", "attn_v", seventy)) == {"Q5_K", "Q6_K"}


def test_the_output_matrix_gets_a_finer_type_than_the_embedding() -> None:
    tied = model_of(has_output=False)
    embeddings = {
        **dict.fromkeys(("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M"), "Q2_K"),
        **dict.fromkeys(("IQ2_S", "IQ2_M", "IQ3_XXS"), "IQ3_S"),
        **dict.fromkeys(("TQ1_0", "TQ2_0", "Q2_0"), "Q4_K"),
        "MXFP4_MOE": "Q8_0",
    }
    for name, file_type in FILE_TYPES.items():
        base = file_type.base.name
        fine = base if base in ("F32", "F16", "BF16", "Q8_0") else "Q6_K"
        if embeddings.get(name, "Q4_K") != "Q4_K":
            fine = "Q8_0" if name == "MXFP4_MOE" else "Q5_K"
        assert chosen(name, "output.weight") == fine
        assert chosen(name, "token_embd.weight") == embeddings.get(name, base)
        assert chosen(name, "token_embd.weight", model=tied) == fine


@pytest.mark.parametrize(
    "name", ["blk.0.attn_norm.weight", "blk.0.attn_q.bias", "rope_freqs.weight"]
)
def test_vectors_keep_their_type(name: str) -> None:
    assert chosen("Q4_K_M", name, (256,)) == "F32"
    assert chosen("F16", name, (256,), now=GGMLType.BF16) == "BF16"


@pytest.mark.parametrize(
    "name", ["blk.0.ffn_gate_inp.weight", "blk.0.attn_q_norm.weight"]
)
def test_routers_and_norms_of_heads_stay_float32(name: str) -> None:
    assert chosen("Q4_K_M", name, (8, 256)) == "F32"


@pytest.mark.parametrize(
    ("file_type", "n_in", "expected"),
    [
        ("Q2_K", 320, "Q4_0"),
        ("Q3_K_S", 320, "Q4_0"),
        ("Q4_K_S", 320, "Q5_0"),
        ("Q5_K_S", 320, "Q5_1"),
        ("Q6_K", 320, "Q8_0"),
        ("Q6_K", 172, "F16"),
        ("Q8_0", 172, "F16"),
        ("BF16", 172, "BF16"),
        ("Q4_K_S", 172, "F16"),
        ("Q1_0", 384, "Q1_0"),
        ("Q1_0", 320, "Q4_0"),
        ("Q2_0", 320, "Q2_0"),
        ("Q2_0", 352, "Q4_0"),
        ("NVFP4", 352, "Q4_0"),
        ("NVFP4", 172, "F16"),
    ],
)
def test_rows_that_are_not_whole_blocks_fall_back_to_another_type(
    file_type: str, n_in: int, expected: str
) -> None:
    assert chosen(file_type, "blk.9.ffn_up.weight", (64, n_in)) == expected


def test_models_of_the_shape_of_70b_get_finer_values() -> None:
    def values(architecture: str, n_layer: int, n_gqa: int) -> set[str]:
        model = model_of(n_layer, n_gqa, architecture=architecture)
        return set(finer("Q3_K_S", "attn_v", model))

    assert values("llama", 80, 8) == {"Q5_K"}
    assert values("llama", 80, 1) == set()  # each head has its own keys and values
    assert values("llama", 79, 8) == set()
    assert values("qwen2", 80, 1) == {"Q5_K"}
    assert values("qwen3", 80, 8) == set()


@pytest.mark.parametrize(
    "file_type", ["Q2_K", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_M"]
)
def test_a_merged_qkv_matrix_gets_the_types_of_values(file_type: str) -> None:
    model = model_of(parts=("attn_qkv", "attn_output", "ffn_up", "ffn_down"))
    assert finer(file_type, "attn_qkv", model) == finer(file_type, "attn_v")


def test_layers_without_a_matrix_are_not_counted() -> None:
    """Of four matrices the third and the last are finer, whatever their layers."""
    names = [f"blk.{layer}.attn_v.weight" for layer in (10, 2, 31, 30)]
    model = model_shape({}, names)
    got = [chosen("Q4_K_M", name, model=model) for name in names]
    assert got == ["Q4_K", "Q4_K", "Q6_K", "Q6_K"]
    assert chosen("Q4_K_M", names[0]) == "Q6_K"  # where all 22 have one


@pytest.mark.parametrize(
    "file_type", [each for each in USUAL if each not in ("F32", "F16", "BF16")]
)
def test_attention_gets_finer_types_beside_eight_experts(file_type: str) -> None:
    base = FILE_TYPES[file_type].base.name
    names = {
        part: chosen(file_type, f"blk.9.{part}.weight", model=MIXTURE)
        for part in ("attn_q", "attn_k", "attn_v", "attn_output")
    }
    finer_output = file_type in ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M")
    assert names == {
        "attn_q": base,
        "attn_k": "Q8_0",
        "attn_v": "Q8_0",
        "attn_output": "Q5_K" if finer_output else base,
    }
    others = model_of(n_expert=16)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        assert finer(file_type, part, others) == finer(file_type, part)


@pytest.mark.parametrize("file_type", USUAL)
@pytest.mark.parametrize("n_expert", [2, 8, 128])
def test_experts_get_the_types_of_feed_forward_matrices(
    file_type: str, n_expert: int
) -> None:
    mixture = model_of(n_expert=n_expert)
    for part in ("ffn_gate", "ffn_up", "ffn_down"):
        want = finer(file_type, part)
        assert finer(file_type, f"{part}_exps", mixture) == want
        assert finer(file_type, f"{part}_shexp", mixture) == want
        assert finer(file_type, f"{part}.7", mixture) == want
    both = finer(file_type, "ffn_gate_up_exps", mixture)
    assert both == finer(file_type, "ffn_up", mixture)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("ffn_gate_inp.weight", (8, 256)),
        ("ffn_gate_inp_shexp.weight", (1, 256)),
        ("ffn_down_exps.bias", (8, 256)),
    ],
)
def test_routers_and_biases_of_experts_stay_float32(
    name: str, shape: tuple[int, int]
) -> None:
    assert chosen("Q4_K_M", f"blk.0.{name}", shape, MIXTURE) == "F32"


@pytest.mark.parametrize(
    ("file_type", "expected"),
    [
        ("Q2_K", "Q4_0"),
        ("Q3_K_S", "Q4_0"),
        ("Q3_K_M", "Q5_0"),
        ("Q3_K_L", "Q5_1"),
        ("Q4_K_S", "Q5_0"),
        ("Q4_K_M", "Q5_0"),
        ("Q5_K_M", "Q5_1"),
        ("Q6_K", "Q8_0"),
        ("Q8_0", "Q8_0"),
    ],
)
def test_expert_rows_that_are_not_whole_blocks_fall_back_to_another_type(
    file_type: str, expected: str
) -> None:
    name = "blk.9.ffn_down_exps.weight"
    assert chosen(file_type, name, (8, 256, 288), MIXTURE) == expected
    assert chosen(file_type, name, (8, 256, 172), MIXTURE) == "F16"
    value = "blk.9.attn_v.weight"
    assert chosen(file_type, value, (64, 320), MIXTURE) == "Q8_0"


def test_mixtures_in_the_smallest_types() -> None:
    assert finer("IQ2_XS", "attn_v", model_of(n_gqa=1, n_expert=4)) == {"Q4_K": ALL}
    assert finer("IQ2_XS", "attn_v", model_of(n_gqa=1, n_expert=2)) == {"Q2_K": ALL}
    assert chosen("IQ2_XS", "blk.9.attn_k.weight", model=MIXTURE) == "Q4_K"
    assert chosen("IQ2_XS", "blk.9.attn_v.weight", model=MIXTURE) == "Q4_K"
    assert chosen("IQ4_XS", "blk.9.attn_v.weight", model=MIXTURE) == "Q8_0"
    assert chosen("IQ1_S", "blk.9.attn_output.weight", model=MIXTURE) == "Q5_K"
    # the first two tensors of a kind, of which a layer has three
    ends = ("", "_exps", "_shexp")
    down = [f"blk.0.ffn_down{end}.weight" for end in ends]
    got = [chosen("IQ2_S", name, model=MIXTURE) for name in down]
    assert got == ["IQ3_S", "IQ3_S", "IQ2_XS"]
    assert finer("IQ3_M", "ffn_down_exps", MIXTURE) == {"Q4_K": MORE}


def test_the_shape_of_a_model_is_read_from_its_metadata() -> None:
    names = ["token_embd.weight", "blk.0.attn_v.weight", "blk.11.attn_v.weight"]
    metadata: dict[str, Any] = {
        "general.architecture": "other",
        "other.attention.head_count": np.array([32, 8], np.int32),
        "other.attention.head_count_kv": 4,
        "other.expert_count": 8,
    }
    found = model_shape(metadata, names)
    assert (found.n_layer, found.n_gqa, found.n_expert) == (12, 8, 8)
    assert (found.n_values, found.has_output, found.is_70b) == (2, False, False)
    assert found.places == {"blk.0.attn_v.weight": 0, "blk.11.attn_v.weight": 1}
    found = model_shape({}, [*names, "output.weight"])
    assert (found.n_gqa, found.n_expert, found.has_output) == (1, 0, True)
    # files that are not models may say this
    metadata["other.attention.head_count_kv"] = 0
    metadata["other.attention.head_count"] = "many"
    metadata["other.block_count"] = np.array([], np.int32)
    assert model_shape(metadata, []).n_layer == 0
    assert model_shape(metadata, ["blk.99999999999.attn_v.weight"]).n_layer == 0
