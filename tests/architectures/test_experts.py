"""Families with mixtures of experts on both executors, and files they refuse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import FormatError
from llamacy.formats.gguf.file import open_gguf
from tests.support.forward_passes import logits
from tests.support.model_shapes import model_shapes

Array = NDArray[np.float32]
Tensors = dict[str, Array]
Write = Callable[..., Path]
Reference = Callable[..., tuple[Path, Array]]

# Keys of each family's file, in addition to those of a tiny LLaMA.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2moe": {
        "expert_feed_forward_length": 32,
        "expert_shared_feed_forward_length": 64,
    },
    "qwen3moe": {"expert_feed_forward_length": 32},
    "qwen3vlmoe": {"expert_feed_forward_length": 32},
    "mellum": {"expert_feed_forward_length": 32, "attention__sliding_window": 20},
    "olmoe": {},
    "granitemoe": {"expert_shared_feed_forward_length": 64, "residual_scale": 0.4},
    "granite_swa": {
        "expert_shared_feed_forward_length": 64,
        "attention__sliding_window": 20,
        "attention__sliding_window_pattern": [False, True],
    },
    "gpt-oss": {
        "expert_feed_forward_length": 96,
        "attention__sliding_window": 20,
        "rope__scaling__type": "yarn",
        "rope__scaling__factor": 4.0,
        "rope__scaling__original_context_length": 32,
    },
}
MAY_BE_DENSE = {"llama", "granitemoe", "granite_swa"}
EXPERTS = {"expert_count": 5, "expert_used_count": 2}


@pytest.fixture(scope="session")
def make_model(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Write,
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Tensors],
) -> Callable[..., Path]:
    """Write a model of a family; `change` may alter its metadata and tensors."""

    def make(
        family: str,
        change: Callable[[dict[str, Any], Tensors], None] | None = None,
        type_name: str = "F32",
        **keys: Any,
    ) -> Path:
        metadata = llama_metadata(family, **EXPERTS | FAMILIES[family] | keys)
        folder = tmp_path_factory.mktemp(family)
        shapes = model_shapes(write_gguf, folder, metadata)
        tensors = random_tensors(shapes.items())
        if change is not None:
            change(metadata, tensors)
        return write_gguf(folder / "model.gguf", metadata, tensors, type_name)

    return make


@pytest.fixture(scope="session")
def reference(make_model: Callable[..., Path]) -> Reference:
    """Return a model and its logits by the reference, computed once for all levels."""

    @cache
    def of(family: str, type_name: str = "F32") -> tuple[Path, Array]:
        path = make_model(family, type_name=type_name)
        return path, logits(path, "reference")

    return of


each_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.mark.usefixtures("selected_level")
@each_family
def test_plan_and_reference_agree_on_mixtures(
    reference: Reference, family: str
) -> None:
    path, want = reference(family)
    got = logits(path, "plan", kv_type="f32", n_threads=2)
    assert want.std() > 0.1
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * float(want.std()))


@pytest.mark.usefixtures("selected_level")
@pytest.mark.parametrize("type_name", ["Q8_0", "MXFP4"])
@each_family
def test_plan_and_reference_agree_on_quantised_experts(
    reference: Reference, family: str, type_name: str
) -> None:
    """On most rows; a few choose another expert because two scores are nearly equal."""
    path, want = reference(family, type_name)
    got = logits(path, "plan", kv_type="f32", n_threads=2)
    errors = np.sqrt(np.mean((got - want) ** 2, axis=1))
    assert np.median(errors) <= 0.05 * want.std()


@each_family
@pytest.mark.parametrize(
    "name", ["ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"]
)
def test_the_order_of_scores_and_experts_changes_the_logits(
    make_model: Callable[..., Path], family: str, name: str
) -> None:
    def change(_: Mapping[str, Any], tensors: Tensors) -> None:
        tensors[f"blk.1.{name}.weight"] = tensors[f"blk.1.{name}.weight"][::-1]

    plain = logits(make_model(family), "reference")
    changed = logits(make_model(family, change), "reference")
    assert np.abs(changed - plain).max() > 1e-3


@each_family
def test_the_number_of_experts_used_changes_the_logits(
    make_model: Callable[..., Path], family: str
) -> None:
    plain = logits(make_model(family), "reference")
    more = logits(make_model(family, expert_used_count=3), "reference")
    assert np.abs(more - plain).max() > 1e-3


@pytest.mark.parametrize(
    "name", ["attn_sinks.weight", "ffn_gate_inp.bias", "ffn_up_exps.bias"]
)
def test_sinks_and_biases_of_gpt_oss_change_the_logits(
    make_model: Callable[..., Path], name: str
) -> None:
    def change(_: Mapping[str, Any], tensors: Tensors) -> None:
        tensors[f"blk.1.{name}"][0] += 2

    plain = logits(make_model("gpt-oss"), "reference")
    changed = logits(make_model("gpt-oss", change), "reference")
    assert np.abs(changed - plain).max() > 1e-3


@pytest.mark.parametrize(
    "keys", [{"attention__sliding_window": 3}, {"rope__scaling__factor": 8.0}]
)
def test_window_and_rope_scaling_of_gpt_oss_change_the_logits(
    make_model: Callable[..., Path], keys: dict[str, Any]
) -> None:
    plain = logits(make_model("gpt-oss"), "reference")
    changed = logits(make_model("gpt-oss", **keys), "reference")
    assert np.abs(changed - plain).max() > 1e-3


@pytest.mark.parametrize("name", ["ffn_gate_inp_shexp", "ffn_down_shexp"])
def test_the_shared_expert_changes_the_logits(
    make_model: Callable[..., Path], name: str
) -> None:
    def change(_: Mapping[str, Any], tensors: Tensors) -> None:
        tensors[f"blk.1.{name}.weight"] *= -1

    plain = logits(make_model("qwen2moe"), "reference")
    changed = logits(make_model("qwen2moe", change), "reference")
    assert np.abs(changed - plain).max() > 1e-3


@pytest.mark.parametrize("kind", ["reference", "plan"])
def test_a_matrix_of_one_row_is_accepted_as_a_vector(
    make_model: Callable[..., Path], kind: str
) -> None:
    def change(_: Mapping[str, Any], tensors: Tensors) -> None:
        for layer in range(2):
            name = f"blk.{layer}.ffn_gate_inp_shexp.weight"
            tensors[name] = tensors[name][None]

    want = logits(make_model("qwen2moe"), kind)
    np.testing.assert_array_equal(logits(make_model("qwen2moe", change), kind), want)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - MAY_BE_DENSE))
@pytest.mark.parametrize("kind", ["reference", "plan"])
def test_a_mixture_without_experts_is_refused(
    tmp_path: Path,
    write_gguf: Write,
    llama_metadata: Callable[..., dict[str, Any]],
    family: str,
    kind: str,
) -> None:
    metadata = llama_metadata(family)
    path = write_gguf(tmp_path / "model.gguf", metadata, {}, "F32")
    match = f"{family}.expert_count: wanted 1 or more, found 0"
    with pytest.raises(FormatError, match=match):
        logits(path, kind)
    with pytest.raises(FormatError, match=match):
        llamacy.inspect(path)


def test_a_quantised_mixture_runs(
    make_model: Callable[..., Path], tmp_path: Path
) -> None:
    sizes = {"embedding_length": 256, "feed_forward_length": 256}
    path, target = make_model("llama", **sizes), tmp_path / "small.gguf"
    llamacy.quantize(path, target, "Q4_K_M", n_threads=1)
    with open_gguf(target) as file:
        types = {
            name: file.tensors[f"blk.1.{name}.weight"].type.name
            for name in ("ffn_up_exps", "ffn_down_exps", "ffn_gate_inp")
        }
    want = {"ffn_up_exps": "Q4_K", "ffn_down_exps": "Q6_K", "ffn_gate_inp": "F32"}
    assert types == want
    want_logits = logits(target, "reference")
    got = logits(target, "plan", kv_type="f32", n_threads=2)
    errors = np.sqrt(np.mean((got - want_logits) ** 2, axis=1))
    assert np.median(errors) <= 0.05 * want_logits.std()


@each_family
@pytest.mark.parametrize("name", ["ffn_gate_inp", "ffn_up_exps"])
def test_a_missing_expert_tensor_is_named(
    make_model: Callable[..., Path], family: str, name: str
) -> None:
    def change(_: Mapping[str, Any], tensors: Tensors) -> None:
        del tensors[f"blk.1.{name}.weight"]

    with pytest.raises(FormatError, match=rf"blk\.1\.{name}\.weight.*no such tensor"):
        logits(make_model(family, change), "plan")


@each_family
def test_expert_tensors_of_a_wrong_shape_are_refused(
    make_model: Callable[..., Path], family: str
) -> None:
    name = "blk.1.ffn_down_exps.weight"
    shapes = [
        lambda x: x[:4],  # too few experts
        lambda x: x.swapaxes(1, 2),
        lambda x: x[0],  # no experts
        lambda x: x[None],
    ]
    for shape in shapes:

        def change(_: Any, tensors: Tensors, shape: Any = shape) -> None:
            tensors[name] = np.ascontiguousarray(shape(tensors[name]))

        with pytest.raises(FormatError, match=r"ffn_down_exps\.weight: shape"):
            logits(make_model(family, change), "plan")
