"""The LLaMA family: its features on both executors, and incomplete files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.architectures import ARCHITECTURES, find_architecture
from llamacy.errors import FormatError, UnsupportedError
from tests.support.forward_passes import logits
from tests.support.model_shapes import model_shapes

Tensors = dict[str, NDArray[np.float32]]
Write = Callable[..., Path]
Reference = Callable[..., tuple[Path, NDArray[np.float32]]]
BIASES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")

# Keys and optional tensors of each model, in addition to conftest.py's tiny LLaMA.
FEATURES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "grouped-query": ({}, ("output.weight",)),
    "multi-head": ({"attention__head_count_kv": 4}, ("output.weight",)),
    "multi-query": ({"attention__head_count_kv": 1}, ("output.weight",)),
    "tied": ({}, ()),
    "biases": ({}, tuple(f"{name}.bias" for name in BIASES)),
    "rope_freqs": ({}, ("rope_freqs.weight",)),
    "linear": ({"rope__scaling__type": "linear", "rope__scaling__factor": 4.0}, ()),
    "yarn": (
        {
            "rope__scaling__type": "yarn",
            "rope__scaling__factor": 4.0,
            "rope__scaling__original_context_length": 32,
        },
        (),
    ),
    "partial rotary": ({"rope__dimension_count": 8}, ()),
    "head_dim": (
        {
            "attention__key_length": 24,
            "attention__value_length": 24,
            "rope__dimension_count": 24,
        },
        (),
    ),
}


@pytest.fixture(scope="session")
def make_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Write,
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Tensors],
) -> Callable[..., Path]:
    """Write a model with a feature; `change` may alter its metadata and tensors."""

    def make(
        feature: str = "tied",
        change: Callable[[dict[str, Any], Tensors], None] | None = None,
        type_name: str = "F32",
    ) -> Path:
        folder = tmp_path_factory.mktemp("llama")
        keys, extra = FEATURES[feature]
        metadata = llama_metadata(**keys)
        shapes = model_shapes(write_gguf, folder, metadata, extra)
        tensors = random_tensors(shapes.items())
        if change is not None:
            change(metadata, tensors)
        return write_gguf(folder / "model.gguf", metadata, tensors, type_name)

    return make


@pytest.fixture(scope="session")
def reference(make_model: Callable[..., Path]) -> Reference:
    """Return a model and its logits by the reference, computed once for all levels."""

    @cache
    def of(feature: str, type_name: str = "F32") -> tuple[Path, NDArray[np.float32]]:
        path = make_model(feature, type_name=type_name)
        return path, logits(path, "reference")

    return of


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize("feature", FEATURES)
def test_plan_and_reference_agree_on_every_feature(
    reference: Reference, feature: str
) -> None:
    path, want = reference(feature)
    got = logits(path, "plan", kv_type="f32", n_threads=2)
    assert want.std() > 0.1
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize("type_name", ["Q4_0", "Q5_1", "Q8_0", "F16", "BF16"])
@pytest.mark.parametrize(
    ("kv_type", "most"), [("f32", 0.05), ("f16", 0.05), ("q8_0", 0.1)]
)
def test_plan_and_reference_agree_on_quantised_weights(
    reference: Reference, type_name: str, kv_type: str, most: float
) -> None:
    path, want = reference("grouped-query", type_name)
    got = logits(path, "plan", kv_type=kv_type, n_threads=2)
    assert np.sqrt(np.mean((got - want) ** 2)) <= most * want.std()


def test_every_feature_changes_the_logits(make_model: Callable[..., Path]) -> None:
    """No feature is silently ignored."""
    results = {}
    for feature in ("tied", "biases", "rope_freqs", "linear", "yarn", "partial rotary"):
        results[feature] = logits(make_model(feature), "reference")
    names = list(results)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            assert np.abs(results[one] - results[other]).max() > 1e-3, (one, other)


def test_a_missing_tensor_is_named(make_model: Callable[..., Path]) -> None:
    def change(_: Mapping[str, Any], tensors: Tensors) -> None:
        del tensors["blk.1.ffn_up.weight"]

    with pytest.raises(FormatError, match=r"blk\.1\.ffn_up\.weight.*no such tensor"):
        logits(make_model(change=change), "plan")


def test_a_tensor_of_a_wrong_shape_is_refused(make_model: Callable[..., Path]) -> None:
    def change(_: Mapping[str, Any], tensors: Tensors) -> None:
        tensors["output_norm.weight"] = np.ones(63, np.float32)

    with pytest.raises(FormatError, match=r"output_norm.*\(64,\).*\(63,\)"):
        logits(make_model(change=change), "plan")


@pytest.mark.parametrize("factor", [0, -1, 1e-45, np.nan, np.inf])
def test_invalid_rope_factors_are_refused(
    make_model: Callable[..., Path], factor: float
) -> None:
    def change(_: Mapping[str, Any], tensors: Tensors) -> None:
        tensors["rope_freqs.weight"][3] = factor

    with pytest.raises(
        FormatError, match=r"rope_freqs\.weight: wanted finite"
    ) as caught:
        logits(make_model("rope_freqs", change), "plan")
    assert caught.value.field == "tensor rope_freqs.weight"
    np.testing.assert_equal(caught.value.found, float(np.float32(factor)))


@pytest.mark.parametrize(
    ("name", "examples"),
    [
        ("plamo2", "near it olmo2"),
        ("gemma5", r"near it gemma\w*, gemma"),
        ("", "such as"),
    ],
)
def test_an_unknown_architecture_is_refused_and_near_ones_are_named(
    name: str, examples: str
) -> None:
    assert find_architecture("llama", "x.gguf") is ARCHITECTURES["llama"]
    with pytest.raises(UnsupportedError, match=f"lists, {examples}.*, found {name}"):
        find_architecture(name, "x.gguf")


def test_an_unknown_architecture_is_printed_without_control_characters() -> None:
    with pytest.raises(UnsupportedError) as caught:
        find_architecture("\x1b[2J" + "x" * 70_000, "x.gguf")
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


def test_an_encoder_is_called_one() -> None:
    with pytest.raises(
        UnsupportedError, match="found neo-bert, an encoder, of which only"
    ):
        find_architecture("neo-bert", "x.gguf")
