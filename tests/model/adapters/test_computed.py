"""Models compute with adapters what they compute with adapters merged into weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.formats.gguf.file import open_gguf
from tests.support.adapted import (
    PLAN_TOLERANCE,
    check_both,
    executor_of,
    largest_difference,
    logits_of,
    merged,
)
from tests.support.lora_files import Pairs, random_pairs, write_lora, write_peft

Floats = NDArray[np.float32]

RANK, ALPHA = 5, 12.0  # of the adapter `lora`


@pytest.mark.parametrize("scale", [1.0, 0.25, -1.5])
@pytest.mark.parametrize("type_name", ["F32", "Q8_0", "Q4_0"])
def test_an_adapter_beside_the_weights_equals_merged_weights(
    tmp_path: Path,
    tensors: dict[str, Floats],
    write_model: Callable[..., Path],
    pairs: Pairs,
    lora: Path,
    type_name: str,
    scale: float,
) -> None:
    base = write_model(tmp_path / "base.gguf", tensors, type_name)
    with open_gguf(base) as file:
        weights = {name: each.dequantize() for name, each in file.tensors.items()}
    whole = write_model(
        tmp_path / "merged.gguf", merged(weights, pairs, scale * ALPHA / RANK)
    )
    wanted = logits_of(executor_of(whole, "reference"))
    assert largest_difference(logits_of(executor_of(base, "reference")), wanted) > 0.05
    found = logits_of(executor_of(base, "reference", (lora, scale)))
    assert largest_difference(found, wanted) < 1e-5
    # quantised weights read 8-bit activations
    most = PLAN_TOLERANCE if type_name == "F32" else 0.05
    found = logits_of(executor_of(base, "plan", (lora, scale)))
    assert largest_difference(found, wanted) < most


def test_an_adapter_equals_merged_weights_at_every_level(
    selected_level: object, base: Path, tensors: dict[str, Floats], pairs: Pairs,
    lora: Path, tmp_path: Path, write_model: Callable[..., Path],
) -> None:  # fmt: skip
    whole = write_model(tmp_path / "merged.gguf", merged(tensors, pairs, ALPHA / RANK))
    wanted = logits_of(executor_of(whole, "reference"))
    found = logits_of(executor_of(base, "plan", lora))
    assert largest_difference(found, wanted) < PLAN_TOLERANCE


@pytest.mark.parametrize("rank", [1, 3, 16, 40])
@pytest.mark.parametrize(
    ("type_name", "most"), [("F32", 1e-5), ("F16", 5e-3), ("BF16", 5e-2)]
)
def test_adapters_of_all_ranks_and_types(
    tmp_path: Path,
    base: Path,
    tensors: dict[str, Floats],
    rank: int,
    type_name: str,
    most: float,
    write_model: Callable[..., Path],
) -> None:
    shapes = {name: each.shape for name, each in tensors.items()}
    pairs = random_pairs(shapes, rank, rank)
    whole = write_model(tmp_path / "merged.gguf", merged(tensors, pairs, 1))
    wanted = logits_of(executor_of(whole, "reference"))
    path = write_lora(
        tmp_path / "l.gguf", pairs, alpha=float(rank), type_name=type_name
    )
    found = logits_of(executor_of(base, "reference", path))
    assert largest_difference(found, wanted) < most
    found = logits_of(executor_of(base, "plan", path))
    assert largest_difference(found, wanted) < PLAN_TOLERANCE + most


@pytest.mark.parametrize(
    "part", ["attn_q", "attn_v", "ffn_gate", "ffn_down", "token_embd", "output.weight"]
)
def test_adapters_of_some_matrices_equal_merged_weights(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], pairs: Pairs, part: str,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    """Adapted matrices may be fused with unadapted ones."""
    some = {name: pair for name, pair in pairs.items() if part in name}
    whole = write_model(tmp_path / "merged.gguf", merged(tensors, some, ALPHA / RANK))
    wanted = logits_of(executor_of(whole, "reference"))
    path = write_lora(tmp_path / "lora.gguf", some, alpha=ALPHA)
    check_both(base, path, wanted)


def test_a_tied_embedding_is_adapted_as_an_embedding(
    tmp_path: Path, tensors: dict[str, Floats], pairs: Pairs,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    name = "token_embd.weight"
    tied = {key: each for key, each in tensors.items() if key != "output.weight"}
    base = write_model(tmp_path / "tied.gguf", tied)
    path = write_lora(tmp_path / "lora.gguf", {name: pairs[name]}, alpha=ALPHA)
    untied = merged(tied, {name: pairs[name]}, ALPHA / RANK)
    untied["output.weight"] = tied[name]
    wanted = logits_of(
        executor_of(write_model(tmp_path / "m.gguf", untied), "reference")
    )
    check_both(base, path, wanted)


def test_the_effects_of_several_adapters_add_up(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], pairs: Pairs, lora: Path,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    shapes = {name: each.shape for name, each in tensors.items() if "ffn" in name}
    shapes["token_embd.weight"] = tensors["token_embd.weight"].shape
    others = random_pairs(shapes, 3, 2)
    # without an alpha the product is not scaled
    second = write_lora(tmp_path / "second.gguf", others, alpha=None)
    both = merged(merged(tensors, pairs, 0.5 * ALPHA / RANK), others, -2)
    wanted = logits_of(executor_of(write_model(tmp_path / "m.gguf", both), "reference"))
    check_both(base, [(lora, 0.5), (str(second), -2), (lora, 0)], wanted)


@pytest.mark.parametrize(
    ("settings", "scale"),
    [
        ({"lora_alpha": ALPHA}, ALPHA / RANK),
        ({"lora_alpha": ALPHA, "use_rslora": True}, ALPHA / RANK**0.5),
        ({"lora_alpha": 7.5, "bias": None, "init_lora_weights": "gaussian"}, 1.5),
    ],
)
def test_a_folder_of_peft_equals_the_gguf_file(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], pairs: Pairs, scale: float,
    settings: dict[str, Any], write_model: Callable[..., Path],
) -> None:  # fmt: skip
    folder = write_peft(tmp_path / "lora", pairs, (4, 2), **settings)
    whole = write_model(tmp_path / "merged.gguf", merged(tensors, pairs, scale))
    wanted = logits_of(executor_of(whole, "reference"))
    check_both(base, folder, wanted)


def test_modules_of_a_peft_folder_may_have_their_own_alpha(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], pairs: Pairs,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    patterns = {"q_proj": 5, "layers.1.mlp.up_proj": 10}
    folder = write_peft(
        tmp_path / "lora", pairs, (4, 2), lora_alpha=RANK / 2, alpha_pattern=patterns
    )
    alphas = {
        name: 5 if "attn_q" in name else 10 if name == "blk.1.ffn_up.weight" else 2.5
        for name in pairs
    }
    whole = tensors
    for name, alpha in alphas.items():
        whole = merged(whole, {name: pairs[name]}, alpha / RANK)
    wanted = logits_of(
        executor_of(write_model(tmp_path / "m.gguf", whole), "reference")
    )
    found = logits_of(executor_of(base, "reference", folder))
    assert largest_difference(found, wanted) < 1e-5


def test_scales_of_matrices_multiply_adapters_in_networks_alone(
    tmp_path: Path,
    tensors: dict[str, Floats],
    write_model: Callable[..., Path],
    pairs: Pairs,
    lora: Path,
) -> None:
    """As llama.cpp computes: it scales a network's products after adapters."""
    three = np.full(1, 3, np.float32)
    scaled = [name.removesuffix(".weight") for name in pairs if name.startswith("blk.")]
    assert any("attn" in name for name in scaled) and any(
        "ffn" in name for name in scaled
    )
    base = write_model(
        tmp_path / "base.gguf",
        tensors | {f"{name}.scale": three for name in scaled},
    )
    whole = merged(tensors, pairs, ALPHA / RANK)
    for name in scaled:
        weight = f"{name}.weight"
        of_attention = whole[weight] + 2 * tensors[weight]
        whole[weight] = 3 * whole[weight] if "ffn" in name else of_attention
    wanted = logits_of(
        executor_of(write_model(tmp_path / "merged.gguf", whole), "reference")
    )
    check_both(base, lora, wanted)
