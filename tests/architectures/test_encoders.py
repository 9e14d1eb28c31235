"""Encoders in GGUF's form: layers, matrices that may be one, and both executors."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.config import ModelConfig
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.ops.batch import TextBatch
from tests.support.embedded import embed
from tests.support.model_shapes import model_shapes

Array = NDArray[np.float32]
Tensors = dict[str, Array]
Write = Callable[[str, Tensors], Path]

LENGTHS = (1, 30, 7, 41)
NORMS_OF_CODE = tuple(
    f"attn_{norm}.{part}"
    for norm in ("q_norm", "k_norm", "norm_2")
    for part in ("weight", "bias")
)
WINDOWS = {"attention__sliding_window": 8, "block_count": 5, "rope__freq_base": 16e4}
EXPERTS = {
    **{"expert_count": 5, "expert_used_count": 2, "moe_every_n_layers": 2},
    "block_count": 4,
}
# For each model: family, keys in addition to conftest.py's, and optional tensors.
MODELS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "modern-bert": ("modern-bert", WINDOWS, ()),
    "modern-bert, silu": (
        "modern-bert",
        WINDOWS | {"hidden_activation": "silu", "attention__sliding_window_pattern": 2},
        ("blk.0.attn_norm.weight",),
    ),
    "nomic-bert": ("nomic-bert", {}, ()),
    "nomic-bert-moe": ("nomic-bert-moe", EXPERTS, (".bias",)),
    "jina-bert-v2": ("jina-bert-v2", {}, (".ffn_down.bias",)),
    "jina-bert-v2, code": ("jina-bert-v2", {}, NORMS_OF_CODE),
    "jina-bert-v3": ("jina-bert-v3", {}, (".bias",)),
}
OF_ALL = {
    "attention__head_count_kv": 4,
    "attention__layer_norm_epsilon": 1e-5,
    "tokenizer.ggml.token_type_count": 2,
}


@pytest.fixture(scope="session")
def make(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Tensors],
) -> Callable[[str], tuple[Tensors, Write]]:
    """Return a model's random tensors, and a function that writes a file of some."""

    def tensors_of(name: str) -> tuple[Tensors, Write]:
        family, keys, optional = MODELS[name]
        folder = tmp_path_factory.mktemp(family)
        metadata = llama_metadata(family, **OF_ALL, **keys)
        shapes = model_shapes(write_gguf, folder, metadata, optional)

        def write(file: str, tensors: Tensors) -> Path:
            return write_gguf(folder / f"{file}.gguf", metadata, tensors)

        return random_tensors(shapes.items()), write

    return tensors_of


@pytest.fixture(scope="session")
def wanted(
    make: Callable[[str], tuple[Tensors, Write]],
) -> Callable[[str], tuple[Path, Array]]:
    """Return a model and its rows by the reference, computed once for all levels."""

    @cache
    def of(name: str) -> tuple[Path, Array]:
        tensors, write = make(name)
        path = write("model", tensors)
        return path, embedded(path, "reference")

    return of


def embedded(path: Path, kind: Any = "plan") -> Array:
    rng = np.random.default_rng(1)
    texts = [rng.integers(0, 50, n).tolist() for n in LENGTHS]
    return embed(path, TextBatch.of(texts), kind=kind)


def config_of(path: Path) -> ModelConfig:
    with open_gguf(path) as file:
        return read_hyperparameters(file)[1]


def joined(tensors: Tensors, *parts: str) -> Array:
    return np.concatenate([tensors.pop(part) for part in parts])


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize("name", MODELS)
def test_executors_agree(
    wanted: Callable[[str], tuple[Path, Array]], name: str
) -> None:
    path, want = wanted(name)
    assert want.std() > 0.1
    got = embedded(path)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


@pytest.mark.parametrize("name", MODELS)
def test_matrices_may_be_one(
    make: Callable[[str], tuple[Tensors, Write]], name: str
) -> None:
    """As in files of llama.cpp's converter: those of Jina for code have up first."""
    tensors, write = make(name)
    want = embedded(write("apart", tensors))
    for layer in range(len({key.split(".")[1] for key in tensors if "attn_q." in key})):
        p = f"blk.{layer}."
        for suffix in ("weight", "bias"):
            parts = [f"{p}attn_{part}.{suffix}" for part in "qkv"]
            if parts[0] in tensors:
                tensors[f"{p}attn_qkv.{suffix}"] = joined(tensors, *parts)
        gate, up = f"{p}ffn_gate.weight", f"{p}ffn_up.weight"
        if gate in tensors:
            order = (up, gate) if name.endswith("code") else (gate, up)
            tensors[up] = joined(tensors, *order)
    np.testing.assert_array_equal(embedded(write("joined", tensors)), want)


def test_a_third_of_modern_berts_layers_sees_all(
    make: Callable[[str], tuple[Tensors, Write]],
) -> None:
    _, write = make("modern-bert")
    attention = [each.attention for each in config_of(write("a", {})).layers]
    assert [each.window for each in attention] == [None, 8, 8, None, 8]
    bases = [each.rope.freq_base for each in attention if each.rope]
    assert bases == [16e4, 1e4, 1e4, 16e4, 1e4]
    assert not any(each.is_causal for each in attention)


def test_every_second_layer_of_a_nomic_has_experts(
    make: Callable[[str], tuple[Tensors, Write]],
) -> None:
    _, write = make("nomic-bert-moe")
    experts = [each.feed_forward.experts for each in config_of(write("a", {})).layers]
    assert [each is not None for each in experts] == [False, True] * 2
    assert experts[1] is not None
    assert (experts[1].n_ff, experts[1].is_normalized) == (96, False)


def test_a_nomic_must_say_which_layers_have_experts(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
) -> None:
    keys = {**OF_ALL, **EXPERTS, "moe_every_n_layers": 1}
    path = write_gguf(tmp_path / "a", llama_metadata("nomic-bert-moe", **keys), {})
    with pytest.raises(FormatError, match="moe_every_n_layers: wanted 2 to"):
        config_of(path)


def test_scores_of_jina_fall_with_the_distance(
    make: Callable[[str], tuple[Tensors, Write]],
) -> None:
    _, write = make("jina-bert-v2")
    layers = config_of(write("a", {})).layers
    assert {each.attention.alibi_bias for each in layers} == {8.0}
    assert {each.attention.rope for each in layers} == {None}
