"""Adapters with more than pairs of separate matrices compute what PEFT computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.model.model import Model
from tests.support import hugging_face
from tests.support.lora_files import (
    Pairs,
    product,
    random_pairs,
    write_lora,
    write_peft,
)

Floats = NDArray[np.float32]
WriteModel = Callable[..., Path]

TOKENS = [3, 14, 15, 9, 26, 5, 35, 8, 9, 7]
RANK, ALPHA = 5, 10.0
PEFT = "base_model.model."
TENSORS = "adapter_model.safetensors"


def logits_of(path: Path, lora: Any = None) -> Floats:
    with llamacy.load(path, kv_type="f32", n_threads=1, lora=lora) as model:
        return model.logits(TOKENS)


def difference(a: Floats, b: Floats) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def with_pairs(tensors: dict[str, Floats], pairs: Pairs) -> dict[str, Floats]:
    scale = np.float32(ALPHA / RANK)
    changed = {
        name: tensors[name] + scale * product(name, *pairs[name]) for name in pairs
    }
    return {**tensors, **changed}


def peft(folder: Path, pairs: Pairs, **settings: Any) -> Path:
    return write_peft(folder, pairs, (4, 2), **{"lora_alpha": ALPHA} | settings)


def with_tensors(folder: Path, tensors: dict[str, Floats]) -> Path:
    """Write tensors, by names after those of PEFT's wrappers, for those of a folder."""
    named = {PEFT + name: each for name, each in tensors.items()}
    hugging_face.write_safetensors(folder / TENSORS, named)
    return folder


@pytest.fixture(scope="module")
def tied(tensors: dict[str, Floats]) -> dict[str, Floats]:
    return {name: each for name, each in tensors.items() if name != "output.weight"}


@pytest.mark.parametrize("is_gguf", [True, False])
def test_pairs_of_fused_matrices_are_taken_apart(
    tmp_path: Path,
    random_tensors: Callable[..., dict[str, Floats]],
    llama_metadata: Callable[..., dict[str, Any]],
    write_gguf: WriteModel,
    is_gguf: bool,
) -> None:
    metadata = llama_metadata("phi3", block_count=1)
    tensors = random_tensors(
        {
            "token_embd.weight": (50, 64),
            "output_norm.weight": (64,),
            "output.weight": (50, 64),
            "blk.0.attn_norm.weight": (64,),
            "blk.0.attn_qkv.weight": (128, 64),
            "blk.0.attn_output.weight": (64, 64),
            "blk.0.ffn_norm.weight": (64,),
            "blk.0.ffn_up.weight": (192, 64),
            "blk.0.ffn_down.weight": (64, 96),
        }.items()
    )
    fused = {name: each.shape for name, each in tensors.items() if "blk.0" in name}
    pairs = random_pairs(fused, RANK, 1)
    if is_gguf:
        keys = {"general.architecture": "phi3"}
        lora = write_lora(tmp_path / "l.gguf", pairs, alpha=ALPHA, keys=keys)
    else:
        modules = {
            "attn_qkv": "self_attn.qkv_proj",
            "attn_output": "self_attn.o_proj",
            "ffn_up": "mlp.gate_up_proj",
            "ffn_down": "mlp.down_proj",
        }
        lora = with_tensors(
            peft(tmp_path / "lora", {}),
            {
                f"model.layers.0.{modules[name.split('.')[2]]}.lora_{letter}.weight": x
                for name, pair in pairs.items()
                for letter, x in zip("AB", pair, strict=True)
            },
        )
    base = write_gguf(tmp_path / "base.gguf", metadata, tensors)
    whole = write_gguf(tmp_path / "whole.gguf", metadata, with_pairs(tensors, pairs))
    wanted = logits_of(whole)
    assert difference(logits_of(base), wanted) > 0.05
    assert difference(logits_of(base, lora), wanted) < 2e-3
    narrow = {
        "blk.0.ffn_up.weight": (
            pairs["blk.0.attn_qkv.weight"][0],
            np.zeros((96, RANK), np.float32),
        )
    }
    keys = {"general.architecture": "phi3"}
    bad = write_lora(tmp_path / "bad.gguf", narrow, keys=keys)
    with pytest.raises(llamacy.FormatError, match="wanted 192"):
        llamacy.load(base, lora=bad)


def test_a_tied_output_matrix_has_an_adapter_of_its_own(
    tmp_path: Path, tied: dict[str, Floats], write_model: WriteModel
) -> None:
    base = write_model(tmp_path / "tied.gguf", tied)
    shape = tied["token_embd.weight"].shape
    pairs = random_pairs({"output.weight": shape, "token_embd.weight": shape}, RANK, 3)
    untied = tied | {"output.weight": tied["token_embd.weight"]}
    wanted = logits_of(write_model(tmp_path / "w.gguf", with_pairs(untied, pairs)))
    assert difference(logits_of(base, peft(tmp_path / "l", pairs)), wanted) < 2e-3


@pytest.mark.parametrize("form", ["", ".modules_to_save", ".modules_to_save.default"])
@pytest.mark.parametrize("parts", ["embedding", "output", "both", "norms"])
def test_modules_saved_whole_take_the_place_of_the_models(
    tmp_path: Path,
    tied: dict[str, Floats],
    pairs: Pairs,
    write_model: WriteModel,
    form: str,
    parts: str,
) -> None:
    """A tied model's output matrix stays as it was unless there is another."""
    rng = np.random.default_rng(5)
    table = rng.standard_normal((2, 50, 64), np.float32) / np.float32(8)
    saved: dict[str, tuple[str, Floats]] = {}
    if parts in ("embedding", "both"):
        saved["model.embed_tokens"] = ("token_embd.weight", table[0])
    if parts in ("output", "both"):
        saved["lm_head"] = ("output.weight", table[1])
    if parts == "norms":
        norms = rng.uniform(0.5, 1.5, (2, 64)).astype(np.float32)
        saved["model.norm"] = ("output_norm.weight", norms[0])
        theirs = "model.layers.1.input_layernorm"
        saved[theirs] = ("blk.1.attn_norm.weight", norms[1])
    name = "blk.0.ffn_down.weight"
    a, b = pairs[name]
    module = "model.layers.0.mlp.down_proj"
    lora = with_tensors(
        peft(tmp_path / "lora", {}, modules_to_save=list(saved)),
        {f"{module}.lora_A.weight": a, f"{module}.lora_B.weight": b}
        | {f"{theirs}{form}.weight": value for theirs, (_, value) in saved.items()},
    )
    untied = tied | {"output.weight": tied["token_embd.weight"]}
    whole = with_pairs(untied, {name: (a, b)}) | dict(saved.values())
    base = write_model(tmp_path / "tied.gguf", tied)
    plain = logits_of(base)
    with llamacy.load(base, kv_type="f32", n_threads=1, lora=lora) as model:
        wanted = logits_of(write_model(tmp_path / "whole.gguf", whole))
        assert difference(plain, wanted) > 0.05
        assert difference(model.logits(TOKENS), wanted) < 2e-3
        with pytest.raises(llamacy.FormatError, match="one adapter"):
            model.set_adapters([lora, lora])
        for off in (None, (lora, 0)):
            model.set_adapters(off)
            assert np.array_equal(model.logits(TOKENS), plain)


def test_names_may_have_that_of_the_adapter_or_of_the_text_model(
    tmp_path: Path, base: Path, pairs: Pairs
) -> None:
    name = "blk.1.ffn_gate.weight"
    a, b = pairs[name]
    wanted = logits_of(base, peft(tmp_path / "plain", {name: (a, b)}))
    for start, end in [
        ("model.", ".default.weight"),
        ("model.", ".my_adapter.weight"),
        ("model.language_model.model.", ".weight"),
        ("language_model.model.", ".weight"),
    ]:
        stem = f"{start}layers.1.mlp.gate_proj.lora_"
        lora = peft(tmp_path / "other", {})
        with_tensors(lora, {f"{stem}A{end}": a, f"{stem}B{end}": b})
        assert np.array_equal(logits_of(base, lora), wanted)
    stem = "model.layers.1.mlp.gate_proj.lora_"
    two = {f"{stem}{x}.{y}.weight": m for x, m in (("A", a), ("B", b)) for y in "pq"}
    with pytest.raises(llamacy.FormatError, match="one adapter"):
        llamacy.load(base, lora=with_tensors(lora, two))


@pytest.mark.parametrize(
    "settings",
    [
        {"fan_in_fan_out": True},
        {"init_lora_weights": "orthogonal"},
        {"rank_pattern": {"q_proj": 3}, "r": 64, "target_modules": "all-linear"},
        {"use_dora": None, "layer_replication": None, "some_future_key": False},
        {"megatron_core": "megatron.core", "eva_config": {"rho": 2}, "revision": "x"},
        {"ensure_weight_tying": True},
    ],
)
def test_settings_that_change_nothing_are_taken(
    tmp_path: Path, base: Path, pairs: Pairs, settings: dict[str, Any]
) -> None:
    some = {"blk.0.attn_q.weight": pairs["blk.0.attn_q.weight"]}
    wanted = logits_of(base, peft(tmp_path / "plain", some))
    found = logits_of(base, peft(tmp_path / "lora", some, **settings))
    assert np.array_equal(found, wanted)


def test_an_alpha_that_is_missing_is_pefts_default(
    tmp_path: Path, base: Path, pairs: Pairs
) -> None:
    some = {"blk.0.attn_q.weight": pairs["blk.0.attn_q.weight"]}
    wanted = logits_of(base, peft(tmp_path / "plain", some, lora_alpha=8))
    lora = peft(tmp_path / "lora", some)
    config = lora / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha"', '"peft_version"'))
    config.write_text(config.read_text().replace(f'"peft_version": {ALPHA},', ""))
    assert np.array_equal(logits_of(base, lora), wanted)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model.embed_tokens.weight": np.zeros((51, 64), np.float32)}, r"\(50, 64\)"),
        ({"lm_head.weight": np.full((50, 64), np.nan, np.float32)}, "NaN"),
        ({"model.layers.9.input_layernorm.weight": np.ones(64, np.float32)}, "no such"),
        ({"score.weight": np.zeros((2, 64), np.float32)}, "a pair, an embedding"),
    ],
)
def test_saved_modules_that_do_not_fit_are_refused(
    tmp_path: Path, model: Model, given: dict[str, Floats], said: str
) -> None:
    lora = with_tensors(peft(tmp_path / "lora", {}), given)
    with pytest.raises(llamacy.FormatError, match=said):
        model.set_adapters(lora)
    assert model.adapters == ()
