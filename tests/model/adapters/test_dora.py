"""DoRA: adapters that also set the norms of rows (Liu et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.formats.gguf.file import open_gguf
from llamacy.model.model import Model
from tests.support import hugging_face
from tests.support.adapted import (
    PLAN_TOLERANCE,
    check_both,
    executor_of,
    largest_difference,
    logits_of,
)
from tests.support.lora_files import Pairs, product, write_lora, write_peft

Floats = NDArray[np.float32]
HEADS = (4, 2)
RANK, ALPHA = 5, 12.0
EMBEDDING = "token_embd.weight"


def norms(name: str, matrix: Floats) -> Floats:
    """Norms of rows; of the embedding, of columns."""
    axis = 0 if name == EMBEDDING else 1
    found: Floats = np.linalg.norm(matrix, axis=axis, keepdims=True)
    return found


def merged(
    tensors: Mapping[str, Floats],
    pairs: Pairs,
    magnitudes: Mapping[str, Floats],
    scale: float,
) -> dict[str, Floats]:
    """Return the weights with the update, and each row scaled to its magnitude."""
    changed = dict(tensors)
    for name, (a, b) in pairs.items():
        matrix = tensors[name] + np.float32(scale) * product(name, a, b)
        magnitude = magnitudes[name]
        wanted = magnitude[None] if name == EMBEDDING else magnitude[:, None]
        changed[name] = matrix * (wanted / norms(name, matrix))
    return changed


@pytest.fixture(scope="module")
def magnitudes(tensors: dict[str, Floats], pairs: Pairs) -> dict[str, Floats]:
    rng = np.random.default_rng(7)
    return {
        name: norms(name, tensors[name]).reshape(-1)
        * (rng.random(b.shape[0], np.float32) + np.float32(0.5))
        for name, (_, b) in pairs.items()
    }


@pytest.fixture(scope="module")
def dora(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: Pairs,
    magnitudes: dict[str, Floats],
) -> Path:
    folder = tmp_path_factory.mktemp("dora") / "dora"
    return write_peft(
        folder, pairs, HEADS, magnitudes, use_dora=True, lora_alpha=ALPHA, r=RANK
    )


@pytest.mark.parametrize("scale", [1.0, -0.4])
@pytest.mark.parametrize("type_name", ["F32", "Q8_0", "Q4_0"])
def test_it_equals_weights_of_those_norms(
    tmp_path: Path, tensors: dict[str, Floats], write_model: Callable[..., Path],
    pairs: Pairs, magnitudes: dict[str, Floats], dora: Path, type_name: str,
    scale: float,
) -> None:  # fmt: skip
    """The norms are those of the dequantised weights, with the update as scaled."""
    base = write_model(tmp_path / "base.gguf", tensors, type_name)
    with open_gguf(base) as file:
        weights = {name: each.dequantize() for name, each in file.tensors.items()}
    changed = merged(weights, pairs, magnitudes, scale * ALPHA / RANK)
    wanted = logits_of(
        executor_of(write_model(tmp_path / "merged.gguf", changed), "reference")
    )
    assert largest_difference(logits_of(executor_of(base, "reference")), wanted) > 0.05
    found = logits_of(executor_of(base, "reference", (dora, scale)))
    assert largest_difference(found, wanted) < 1e-5
    most = PLAN_TOLERANCE if type_name == "F32" else 0.05
    found = logits_of(executor_of(base, "plan", (dora, scale)))
    assert largest_difference(found, wanted) < most


def test_it_equals_weights_of_those_norms_at_every_level(
    selected_level: object, base: Path, tensors: dict[str, Floats], pairs: Pairs,
    magnitudes: dict[str, Floats], dora: Path, tmp_path: Path,
    write_model: Callable[..., Path],
) -> None:  # fmt: skip
    changed = merged(tensors, pairs, magnitudes, ALPHA / RANK)
    whole = write_model(tmp_path / "merged.gguf", changed)
    wanted = logits_of(executor_of(whole, "reference"))
    found = logits_of(executor_of(base, "plan", dora))
    assert largest_difference(found, wanted) < PLAN_TOLERANCE
    again = logits_of(executor_of(base, "plan", dora, n_threads=3))
    np.testing.assert_array_equal(again, found)


@pytest.mark.parametrize(
    "part", ["attn_q", "attn_v", "ffn_gate", "ffn_down", "token_embd", "output.weight"]
)
def test_of_some_matrices(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], pairs: Pairs,
    magnitudes: dict[str, Floats], write_model: Callable[..., Path], part: str,
) -> None:  # fmt: skip
    some = {name: pair for name, pair in pairs.items() if part in name}
    folder = write_peft(
        tmp_path / "a", some, HEADS, magnitudes, use_dora=True, lora_alpha=ALPHA
    )
    changed = merged(tensors, some, magnitudes, ALPHA / RANK)
    whole = write_model(tmp_path / "merged.gguf", changed)
    wanted = logits_of(executor_of(whole, "reference"))
    check_both(base, folder, wanted)


def test_the_output_of_a_tied_model(
    tmp_path: Path, tensors: dict[str, Floats], pairs: Pairs,
    magnitudes: dict[str, Floats], write_model: Callable[..., Path],
) -> None:  # fmt: skip
    """Its norms are those of the embedding's rows, which it reads backwards."""
    tied = {key: each for key, each in tensors.items() if key != "output.weight"}
    base = write_model(tmp_path / "tied.gguf", tied)
    some = {"output.weight": pairs["output.weight"]}
    folder = write_peft(
        tmp_path / "a", some, HEADS, magnitudes, use_dora=True, lora_alpha=ALPHA
    )
    untied = {**tied, "output.weight": tied[EMBEDDING]}
    changed = merged(untied, some, magnitudes, ALPHA / RANK)
    whole = write_model(tmp_path / "merged.gguf", changed)
    wanted = logits_of(executor_of(whole, "reference"))
    check_both(base, folder, wanted)


def test_adapters_before_it_are_scaled_too(
    tmp_path: Path, base: Path, tensors: dict[str, Floats], pairs: Pairs,
    magnitudes: dict[str, Floats], dora: Path, write_model: Callable[..., Path],
) -> None:  # fmt: skip
    """As in PEFT: norms are of the model's own weights and this adapter's update."""
    halves = {name: (a, b * np.float32(0.5)) for name, (a, b) in pairs.items()}
    plain = write_lora(tmp_path / "plain.gguf", halves, alpha=None)
    changed = merged(tensors, pairs, magnitudes, ALPHA / RANK)
    for lora, is_first in (([plain, dora], True), ([dora, plain], False)):
        both = dict(changed)
        for name, (a, b) in halves.items():
            update = product(name, a, b)
            if is_first:
                own = tensors[name] + np.float32(ALPHA / RANK) * product(
                    name, *pairs[name]
                )
                magnitude = magnitudes[name]
                wide = magnitude[None] if name == EMBEDDING else magnitude[:, None]
                update = update * wide / norms(name, own)
            both[name] = both[name] + update
        whole = write_model(tmp_path / f"{is_first}.gguf", both)
        wanted = logits_of(executor_of(whole, "reference"))
        check_both(base, lora, wanted)


def test_a_scale_of_0_leaves_it_out_and_it_can_be_taken_away(
    model: Model, dora: Path, lora: Path
) -> None:
    before = model.logits([3, 14, 15])
    for adapters in (dora, (dora, 0.0), [lora, dora], None):
        model.set_adapters(adapters)
    np.testing.assert_array_equal(model.logits([3, 14, 15]), before)
    model.set_adapters((dora, 0))
    np.testing.assert_array_equal(model.logits([3, 14, 15]), before)
    model.set_adapters(dora)
    assert model.adapters == ((str(dora), 1.0),)
    assert not np.allclose(model.logits([3, 14, 15]), before)


def test_a_session_knows_other_magnitudes(
    tmp_path: Path, model: Model, pairs: Pairs, magnitudes: dict[str, Floats]
) -> None:
    folders = []
    for name, factor in (("a", 1), ("b", 2)):
        larger = {key: factor * each for key, each in magnitudes.items()}
        settings: dict[str, Any] = {"use_dora": True, "lora_alpha": ALPHA}
        folders.append(write_peft(tmp_path / name, pairs, HEADS, larger, **settings))
    model.set_adapters(folders[0])
    with model.session() as session:
        session.feed([3, 14, 15])
        session.save(tmp_path / "saved")
    model.load_session(tmp_path / "saved").close()
    model.set_adapters(folders[1])
    with pytest.raises(llamacy.FormatError, match="header model"):
        model.load_session(tmp_path / "saved")


NAME = "blk.0.attn_output.weight"


@pytest.mark.parametrize(
    ("use_dora", "magnitude", "said"),
    [
        (True, None, "lora_magnitude_vector: wanted one, as use_dora is true"),
        (False, np.ones(64), "wanted no such tensor, as use_dora is not true"),
        (None, np.ones(64), "wanted no such tensor, as use_dora is not true"),
        (True, np.ones(63), r"wanted \(64,\), found \(63,\)"),
        (True, np.ones((64, 1)), r"wanted \(64,\), found \(64, 1\)"),
        (True, np.full(64, np.nan), "finite numbers"),
        (True, np.full(64, np.inf), "finite numbers"),
    ],
)
def test_what_is_not_sound_is_refused(
    tmp_path: Path, model: Model, pairs: Pairs, use_dora: bool | None,
    magnitude: Any, said: str,
) -> None:  # fmt: skip
    given = {} if magnitude is None else {NAME: magnitude.astype(np.float32)}
    some = {NAME: pairs[NAME]}
    folder = write_peft(tmp_path / "a", some, HEADS, given, use_dora=use_dora)
    with pytest.raises(llamacy.FormatError, match=said):
        model.set_adapters(folder)
    assert model.adapters == ()


def test_rows_of_zeros_have_no_direction(
    tmp_path: Path, tensors: dict[str, Floats], pairs: Pairs,
    magnitudes: dict[str, Floats], write_model: Callable[..., Path],
) -> None:  # fmt: skip
    a, b = pairs[NAME]
    weights = {**tensors, NAME: tensors[NAME].copy()}
    weights[NAME][5], b = 0, b.copy()
    b[5] = 0
    folder = write_peft(
        tmp_path / "a", {NAME: (a, b)}, HEADS, magnitudes, use_dora=True
    )
    base = write_model(tmp_path / "base.gguf", weights)
    with pytest.raises(llamacy.FormatError, match="found 0 in row 5"):
        llamacy.load(base, lora=folder)


def test_norms_that_are_infinite_are_refused(
    tmp_path: Path, model: Model, pairs: Pairs, magnitudes: dict[str, Floats]
) -> None:
    a, b = pairs[NAME]
    some = {NAME: (a, b * np.float32(1e30))}
    folder = write_peft(tmp_path / "a", some, HEADS, magnitudes, use_dora=True)
    with pytest.raises(llamacy.FormatError, match="found inf in row 0"):
        model.set_adapters(folder)


def test_a_matrix_that_another_adapter_replaces_has_no_norms(
    tmp_path: Path, model: Model, tensors: dict[str, Floats], pairs: Pairs,
    magnitudes: dict[str, Floats],
) -> None:  # fmt: skip
    name = "output.weight"
    some = {name: pairs[name]}
    dora = write_peft(tmp_path / "dora", some, HEADS, magnitudes, use_dora=True)
    saved = write_peft(tmp_path / "saved", {}, HEADS)
    hugging_face.write_safetensors(
        saved / "adapter_model.safetensors",
        {"base_model.model.lm_head.weight": tensors[name]},
    )
    with pytest.raises(llamacy.FormatError, match="a matrix that no adapter replaces"):
        model.set_adapters([dora, saved])
    model.set_adapters([dora, (saved, 0)])
