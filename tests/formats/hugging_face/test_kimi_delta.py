"""Folders of Kimi Linear and Ling 3.0, under the names of their makers and others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamacy.errors import FormatError
from llamacy.formats.hugging_face import open_hugging_face
from tests.support.hugging_face import write_json, write_safetensors
from tests.support.kimi_delta_folders import (
    N_HEAD,
    N_KERNEL,
    N_LATENT,
    N_PLAIN,
    OFFICIAL,
    N,
    Tensors,
)

# of the modules of transformers, by their makers'
MODULES = {
    "kimi": {
        r"\.block_sparse_moe\.": ".mlp.",
        r"\.w1\.": ".gate_proj.",
        r"\.w3\.": ".up_proj.",
        r"\.w2\.": ".down_proj.",
        r"self_attn\.(f_[ab]_proj|dt_bias|A_log)": r"self_attn.forget_gate.\1",
    },
    "ling": {
        "word_embeddings": "embed_tokens",
        r"\.attention\.dense": ".self_attn.o_proj",
        r"\.attention\.(f_proj|dt_bias|A_log)": r".self_attn.forget_gate.\1",
        r"\.attention\.": ".self_attn.",
        "expert_bias": "e_score_correction_bias",
    },
}
SAVED = {"kimi": {r"\.mlp\.": ".block_sparse_moe."}, "ling": {r"o_proj": "dense"}}
"""Names in files that transformers saves, by their makers'."""


def renamed(made: Tensors, names: dict[str, str]) -> Tensors:
    for pattern, name in names.items():
        made = {re.sub(pattern, name, each): made[each] for each in made}
    return made


def write(folder: Path, config: dict[str, Any], made: Tensors) -> Path:
    folder.mkdir()
    write_json(folder / "config.json", config)
    write_safetensors(folder / "model.safetensors", made)
    return folder


def read(folder: Path) -> Tensors:
    with open_hugging_face(folder) as file:
        return {name: each.dequantize() for name, each in file.tensors.items()}


@pytest.mark.parametrize("family", OFFICIAL)
def test_tensors_have_the_form_of_llama_cpp(
    tmp_path: Path, family: str, caplog: pytest.LogCaptureFixture
) -> None:
    config, make = OFFICIAL[family]
    made, mixer = make(), {"kimi": "self_attn", "ling": "attention"}[family]
    theirs = {
        name.removeprefix(f"model.layers.0.{mixer}."): values
        for name, values in made.items()
    }
    ours = read(write(tmp_path / "model", config, made))
    rates = np.exp(theirs["A_log"]).reshape(N_HEAD, 1)
    rates = rates if family == "ling" else -rates
    np.testing.assert_array_equal(ours["blk.0.ssm_a"], rates)
    for part in "qkv":
        kernel = ours[f"blk.0.ssm_conv1d_{part}.weight"]
        np.testing.assert_array_equal(kernel, theirs[f"{part}_conv1d.weight"])
    gates = theirs["g_proj.weight" if family == "ling" else "g_a_proj.weight"]
    np.testing.assert_array_equal(ours["blk.0.ssm_g_a.weight"], gates)
    np.testing.assert_array_equal(
        ours["blk.0.attn_output.weight"], theirs["o_proj.weight"]
    )
    whole = made[f"model.layers.1.{mixer}.kv_b_proj.weight"]
    rows = whole.reshape(N_HEAD, -1, N_LATENT)
    np.testing.assert_array_equal(ours["blk.1.attn_v_b.weight"], rows[:, N_PLAIN:])
    if family == "ling":
        gates = made["model.layers.1.attention.g_proj.weight"]
        np.testing.assert_array_equal(ours["blk.1.attn_gate.weight"], gates)
    assert not any(name.startswith("blk.2.") for name in ours)
    messages = [each.getMessage() for each in caplog.records]
    assert ["passed over" in each for each in messages] == [True] * (family == "ling")


@pytest.mark.parametrize("family", OFFICIAL)
def test_files_of_transformers_are_those_of_the_makers(
    tmp_path: Path, family: str
) -> None:
    config, make = OFFICIAL[family]
    made = make()
    want = read(write(tmp_path / "official", config, made))
    for number, names in enumerate((SAVED[family], MODULES[family])):
        found = read(write(tmp_path / f"{number}", config, renamed(made, names)))
        assert found.keys() == want.keys()
        for name, values in want.items():
            np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("family", OFFICIAL)
def test_dimensions_of_size_one_may_be_missing(tmp_path: Path, family: str) -> None:
    config, make = OFFICIAL[family]
    made = make()
    want = read(write(tmp_path / "whole", config, made))
    squeezed = {
        name: values.squeeze() if re.search("A_log|conv1d", name) else values
        for name, values in made.items()
    }
    found = read(write(tmp_path / "squeezed", config, squeezed))
    for name, values in want.items():
        np.testing.assert_array_equal(found[name], values)
    prefix = {"kimi": "self_attn", "ling": "attention"}[family]
    kernel = f"model.layers.0.{prefix}.q_conv1d.weight"
    for number, shape in enumerate(((N, 2, N_KERNEL), (N,))):
        wrong = made | {kernel: np.ones(shape, np.float32)}
        with pytest.raises(FormatError, match="q_conv1d"):
            read(write(tmp_path / f"{number}", config, wrong))
