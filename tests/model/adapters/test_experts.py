"""Adapters of experts and routers equal weights that they are merged into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.file import open_gguf
from tests.support import hugging_face
from tests.support.adapted import (
    TOLERANCES,
    check_both,
    executor_of,
    largest_difference,
    logits_of,
    merged,
)
from tests.support.lora_files import Pairs, random_pairs, write_lora, write_peft
from tests.support.model_shapes import model_shapes

Floats = NDArray[np.float32]
Tensors = dict[str, Floats]

RANK, ALPHA = 3, 6.0
N_EXPERT, N_FF, N_EMBD = 5, 32, 64
KEYS: dict[str, dict[str, Any]] = {
    "llama": {"feed_forward_length": N_FF},
    "qwen2moe": {
        "expert_feed_forward_length": N_FF,
        "expert_shared_feed_forward_length": 64,
    },
    "qwen3moe": {"expert_feed_forward_length": N_FF},
    "gpt-oss": {"expert_feed_forward_length": N_FF, "attention__sliding_window": 20},
}
GATE, UP, DOWN = (f"blk.1.ffn_{part}_exps.weight" for part in ("gate", "up", "down"))


@pytest.fixture
def make_model(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Tensors],
) -> Callable[..., tuple[Path, Tensors, Callable[[Tensors], Path]]]:
    """Write a model of a family; return it, its tensors, and how to write others."""

    def make(
        family: str, type_name: str = "F32"
    ) -> tuple[Path, Tensors, Callable[[Tensors], Path]]:
        keys = {"expert_count": N_EXPERT, "expert_used_count": 2} | KEYS[family]
        metadata = llama_metadata(family, **keys)
        shapes = model_shapes(write_gguf, tmp_path, metadata, ("output.weight",))
        tensors = random_tensors(shapes.items())
        path = write_gguf(tmp_path / "base.gguf", metadata, tensors, type_name)
        with open_gguf(path) as file:
            tensors = {name: each.dequantize() for name, each in file.tensors.items()}
        return (
            path,
            tensors,
            lambda changed: write_gguf(tmp_path / "merged.gguf", metadata, changed),
        )

    return make


def pairs_of(tensors: Mapping[str, Floats], part: str = "") -> Pairs:
    shapes = {name: each.shape for name, each in tensors.items() if part in name}
    return random_pairs(shapes, RANK, 1)


def write(path: Path, family: str, pairs: Pairs) -> Path:
    keys = {"general.architecture": family}
    return write_lora(path, pairs, alpha=ALPHA, keys=keys)


@pytest.mark.parametrize("family", KEYS)
def test_adapters_of_all_matrices_equal_merged_weights(
    selected_level: object, make_model: Callable[..., Any], tmp_path: Path, family: str
) -> None:
    base, tensors, write_others = make_model(family)
    pairs = pairs_of(tensors)
    whole = write_others(merged(tensors, pairs, ALPHA / RANK))
    wanted = logits_of(executor_of(whole, "reference"))
    assert largest_difference(logits_of(executor_of(base, "reference")), wanted) > 0.05
    lora = write(tmp_path / "lora.gguf", family, pairs)
    for kind, most in TOLERANCES.items():
        found = logits_of(executor_of(base, kind, lora))
        assert largest_difference(found, wanted) < most
    np.testing.assert_array_equal(
        logits_of(executor_of(base, "plan", lora, n_threads=3)), found
    )


@pytest.mark.parametrize("type_name", ["Q8_0", "MXFP4"])
def test_adapters_beside_quantised_experts(
    make_model: Callable[..., Any], tmp_path: Path, type_name: str
) -> None:
    base, tensors, write_others = make_model("gpt-oss", type_name)
    pairs = pairs_of(tensors, "_exps")
    wanted = logits_of(
        executor_of(write_others(merged(tensors, pairs, ALPHA / RANK)), "reference")
    )
    lora = write(tmp_path / "lora.gguf", "gpt-oss", pairs)
    found = logits_of(executor_of(base, "reference", lora))
    assert largest_difference(found, wanted) < 1e-5
    # on most rows: a few choose another expert
    found = logits_of(executor_of(base, "plan", lora))
    assert np.median(np.abs(found - wanted)) < 0.05 * wanted.std()


@pytest.mark.parametrize(
    "part",
    [
        *("gate_exps", "up_exps", "down_exps", "ffn_gate_inp.", "ffn_gate_inp_shexp"),
        *("gate_shexp", "up_shexp", "down_shexp"),
    ],
)
def test_adapters_of_some_matrices_equal_merged_weights(
    make_model: Callable[..., Any], tmp_path: Path, part: str
) -> None:
    base, tensors, write_others = make_model("qwen2moe")
    pairs = pairs_of(tensors, part)
    assert len(pairs) == 2
    wanted = logits_of(
        executor_of(write_others(merged(tensors, pairs, ALPHA / RANK)), "reference")
    )
    lora = write(tmp_path / "lora.gguf", "qwen2moe", pairs)
    for kind, most in TOLERANCES.items():
        assert largest_difference(logits_of(executor_of(base, kind)), wanted) > most
        found = logits_of(executor_of(base, kind, lora))
        assert largest_difference(found, wanted) < most


def test_several_adapters_add_up(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    base, tensors, write_others = make_model("qwen3moe")
    first, second = pairs_of(tensors), pairs_of(tensors, "up_exps")
    both = merged(tensors, first, 0.5 * ALPHA / RANK)
    whole = write_others(merged(both, second, -ALPHA / RANK))
    wanted = logits_of(executor_of(whole, "reference"))
    lora = [
        (write(tmp_path / "a.gguf", "qwen3moe", first), 0.5),
        (write(tmp_path / "b.gguf", "qwen3moe", second), -1.0),
    ]
    check_both(base, lora, wanted)


def test_merged_gate_and_up_are_taken_apart(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    base, tensors, write_others = make_model("llama")
    name = "blk.1.ffn_gate_up_exps.weight"
    a, b = random_pairs({name: (N_EXPERT, 2 * N_FF, N_EMBD)}, RANK, 4)[name]
    pairs = {GATE: (a, b[:, :N_FF]), UP: (a, b[:, N_FF:])}
    whole = write_others(merged(tensors, pairs, ALPHA / RANK))
    wanted = logits_of(executor_of(whole, "reference"))
    lora = write(tmp_path / "lora.gguf", "llama", {name: (a, b)})
    check_both(base, lora, wanted)


# PEFT's folders. Expert 2 of a layer is a module of its own, or all are in one.

MODULE = "base_model.model.model.layers.1.mlp.experts"


def write_experts(folder: Path, given: Mapping[str, Floats], **settings: Any) -> Path:
    write_peft(folder, {}, (4, 2), **{"lora_alpha": ALPHA} | settings)
    hugging_face.write_safetensors(folder / "adapter_model.safetensors", given)
    return folder


def noise(*shape: int, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.3, shape).astype(np.float32)


def test_single_experts_of_different_ranks_equal_merged_weights(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    """In transformers 4, each expert was a module, which may have no adapter."""
    base, tensors, write_others = make_model("llama")
    given: Tensors = {}
    changed = {name: each.copy() for name, each in tensors.items()}
    for number, rank in ((0, 2), (2, 4), (4, 1)):
        a, b = noise(rank, N_EMBD, seed=number), noise(N_FF, rank, seed=9)
        stem = f"{MODULE.replace('mlp', 'block_sparse_moe')}.{number}.w3"
        given |= {f"{stem}.lora_A.weight": a, f"{stem}.lora_B.weight": b}
        alpha = 20 if number == 4 else ALPHA
        changed[UP][number] += np.float32(alpha / rank) * (b @ a)
    wanted = logits_of(executor_of(write_others(changed), "reference"))
    folder = write_experts(tmp_path / "a", given, alpha_pattern={r"experts\.4\.w3": 20})
    for kind, most in TOLERANCES.items():
        assert largest_difference(logits_of(executor_of(base, kind)), wanted) > most
        found = logits_of(executor_of(base, kind, folder))
        assert largest_difference(found, wanted) < most


def pair(stem: str, a: Floats, b: Floats) -> dict[str, Floats]:
    return {f"{stem}.lora_A.weight": a, f"{stem}.lora_B.weight": b}


NAN = np.full((N_FF, 3), np.nan, np.float32)
ALONE = pair(f"{MODULE}.2.up_proj", noise(3, N_EMBD), noise(N_FF, 3))
ALL = pair(f"{MODULE}", noise(3 * N_EXPERT, N_EMBD), noise(2 * N_FF, 3 * N_EXPERT))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (ALONE | ALL, "single experts or of all, found both"),
        (
            ALONE | {f"{MODULE}.2.up_proj.lora_magnitude_vector": noise(N_FF)},
            "experts.2.up_proj: wanted .* without lora_magnitude_vector",
        ),
        (
            pair(f"{MODULE}.5.up_proj", noise(3, N_EMBD), noise(N_FF, 3)),
            "an expert below 5, found 5",
        ),
        (
            pair(f"{MODULE}.2.up_proj", noise(3, N_EMBD), noise(N_FF, 4)),
            "lora_A of 4 rows",
        ),
        (
            pair(f"{MODULE}.2.up_proj", noise(0, N_EMBD), noise(N_FF, 0)),
            "up_proj.lora_A",
        ),
        (pair(f"{MODULE}.2.up_proj", noise(3), noise(N_FF, 3)), "matrices"),
        (
            pair(f"{MODULE}.2.up_proj", noise(3, 63), noise(N_FF, 3)),
            "64, as the model's matrix, found 63",
        ),
        (
            ALONE | pair(f"{MODULE}.3.up_proj", noise(3, 63), noise(N_FF, 3)),
            "one shape for all experts",
        ),
        (
            pair(f"{MODULE}.2.up_proj", noise(3, N_EMBD), NAN),
            "finite numbers",
        ),
        (
            pair(f"{MODULE}.2.w9", noise(3, N_EMBD), noise(N_FF, 3)),
            "a linear layer or the embedding",
        ),
        (
            pair(
                f"{MODULE.replace('layers.1', 'layers.2')}.2.up_proj",
                noise(3, N_EMBD),
                noise(N_FF, 3),
            ),
            "a layer that has experts, found 2",
        ),
        (
            pair(MODULE, noise(3 * N_EXPERT, N_EMBD), noise(N_FF, 3 * N_EXPERT)),
            r"wanted \(…, 64\) and \(64, …\), or \(…, 32\) and \(64, …\)",
        ),
        (
            pair(MODULE, noise(3 * N_EXPERT - 1, N_EMBD), noise(2 * N_FF, 14)),
            "a rank for each of 5 experts",
        ),
        (
            pair(MODULE, noise(3 * N_EXPERT), noise(2 * N_FF, 14)),
            r"found \(15,\) and \(64, 14\)",
        ),
        (
            ALL | {key.replace("ts.", "ts.base_layer."): x for key, x in ALL.items()},
            "one adapter of gate_up_proj, found another",
        ),
    ],
)  # fmt: skip
def test_adapters_that_do_not_fit_experts_are_refused(
    make_model: Callable[..., Any],
    tmp_path: Path,
    given: dict[str, Floats],
    said: str,
) -> None:
    base, _, _ = make_model("llama")
    with llamacy.load(base, n_threads=1) as model:
        with pytest.raises(llamacy.FormatError, match=said):
            model.set_adapters(write_experts(tmp_path / "a", given, use_dora=True))
        assert model.adapters == ()


@pytest.mark.parametrize(
    ("a", "b", "field"),
    [
        (noise(3, N_EMBD), noise(N_FF, 3), "lora_a: shape"),
        (noise(4, 3, N_EMBD), noise(4, N_FF, 3), "lora_a: shape"),
        (noise(5, 3, N_EMBD), noise(4, N_FF, 3), "lora_a: shape"),
        (noise(5, 3, N_EMBD), noise(5, N_FF, 4), "lora_a: shape"),
        (noise(5, 3, N_EMBD), noise(5, N_FF + 1, 3), "lora_b: shape"),
        (noise(5, 3, N_EMBD), noise(5, N_FF, 3) * np.inf, "lora_b"),
    ],
)
def test_matrices_of_a_gguf_file_that_do_not_fit_experts_are_refused(
    make_model: Callable[..., Any], tmp_path: Path, a: Floats, b: Floats, field: str
) -> None:
    base, _, _ = make_model("llama")
    lora = write(tmp_path / "lora.gguf", "llama", {UP: (a, b)})
    with pytest.raises(llamacy.FormatError) as caught:
        llamacy.load(base, lora=lora)
    assert caught.value.field == f"tensor {UP}.{field}"


def test_a_dense_model_has_no_experts(tmp_path: Path, base: Path) -> None:
    with pytest.raises(llamacy.UnsupportedError, match="a linear layer"):
        llamacy.load(base, lora=write_experts(tmp_path / "a", ALONE))


def test_texts_with_and_without_adapters_of_experts(
    make_model: Callable[..., Any], tmp_path: Path
) -> None:
    """Switching, several texts at once, and sessions."""
    base, tensors, _ = make_model("qwen2moe")
    lora = write(tmp_path / "lora.gguf", "qwen2moe", pairs_of(tensors))
    prompts = [[3, 14, 15, 9], [2, 6, 5], [3, 5, 8, 9, 7]]
    greedy: dict[str, Any] = {"temperature": 0, "max_tokens": 8}
    with llamacy.load(base, n_threads=1) as model:
        plain = [each.tokens for each in model.generate(prompts, **greedy)]
        model.set_adapters(lora)
        adapted = [each.tokens for each in model.generate(prompts, **greedy)]
        assert plain != adapted
        assert adapted == [model.generate(one, **greedy).tokens for one in prompts]
        with model.session() as session:
            session.feed(prompts[0])
            session.save(tmp_path / "saved")
        with model.load_session(tmp_path / "saved") as session:
            assert session.generate(**greedy).tokens == adapted[0]
        model.set_adapters(None)
        assert plain == [each.tokens for each in model.generate(prompts, **greedy)]
