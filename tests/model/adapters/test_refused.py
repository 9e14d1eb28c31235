"""Invalid adapters, and adapters of other models, are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.model.model import Model
from tests.support import hugging_face
from tests.support.lora_files import Pairs, write_lora, write_peft

Floats = NDArray[np.float32]


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"general.type": "model"}, "general.type"),
        ({"general.type": None}, "general.type"),
        ({"general.type": 3}, "general.type"),
        ({"adapter.type": "ia3"}, "adapter.type"),
        ({"adapter.type": None}, "adapter.type"),
        ({"general.architecture": "qwen2"}, "general.architecture"),
        ({"adapter.lora.alpha": -1.0}, "adapter.lora.alpha"),
        ({"adapter.lora.alpha": float("nan")}, "adapter.lora.alpha"),
        ({"adapter.lora.alpha": "8"}, "adapter.lora.alpha"),
        ({"adapter.lora.something_new": 1.0}, "adapter.lora.something_new"),
    ],
)
def test_an_adapter_with_wrong_metadata_is_refused(
    tmp_path: Path, model: Model, pairs: Pairs, keys: dict[str, Any], field: str
) -> None:
    path = write_lora(tmp_path / "lora.gguf", pairs, keys=keys)
    with pytest.raises(llamacy.FormatError) as caught:
        model.set_adapters(path)
    assert caught.value.field == field
    assert model.adapters == ()


NAME = "blk.0.attn_q.weight"


def zeros(*shape: int) -> Floats:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ({}, "tensors"),
        ({NAME: (zeros(5, 63), zeros(64, 5))}, f"tensor {NAME}.lora_a: shape"),
        ({NAME: (zeros(5, 64), zeros(65, 5))}, f"tensor {NAME}.lora_b: shape"),
        ({NAME: (zeros(5, 64), zeros(64, 4))}, f"tensor {NAME}.lora_a: shape"),
        ({NAME: (zeros(64), zeros(64, 1))}, f"tensor {NAME}.lora_a: shape"),
        ({NAME: (zeros(5, 64), zeros(64, 5) + np.nan)}, f"tensor {NAME}.lora_b"),
        ({"blk.9.attn_q.weight": (zeros(5, 64), zeros(64, 5))}, "tensor blk.9"),
        ({"blk.0.attn_norm.weight": (zeros(5, 1), zeros(64, 5))}, "tensor blk.0"),
        (
            {"token_embd.weight": (zeros(5, 64), zeros(50, 5))},
            "tensor token_embd.weight.lora_a: shape",
        ),
        (
            {"token_embd.weight": (zeros(49, 5), zeros(64, 5))},
            "tensor token_embd.weight.lora_a: shape",
        ),
    ],
)
def test_an_adapter_whose_tensors_do_not_fit_is_refused(
    tmp_path: Path, model: Model, pairs: Pairs, field: str
) -> None:
    path = write_lora(tmp_path / "lora.gguf", pairs)
    with pytest.raises(llamacy.FormatError) as caught:
        model.set_adapters(path)
    assert caught.value.field.startswith(field)


@pytest.mark.parametrize("name", [f"{NAME}.lora_a", f"{NAME}.lora_c", ".lora_a", NAME])
def test_tensor_names_that_make_no_pair_are_refused(
    tmp_path: Path, model: Model, name: str
) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "lora.gguf", "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_tensor(name, zeros(5, 64))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(llamacy.FormatError, match="tensor"):
        model.set_adapters(tmp_path / "lora.gguf")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"peft_type": "IA3"}, "peft_type"),
        ({"peft_type": None}, "peft_type"),
        ({"use_dora": 1}, "use_dora"),
        ({"target_parameters": [3]}, "target_parameters"),
        ({"bias": "all"}, "bias"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"init_lora_weights": []}, "init_lora_weights"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"lora_alpha": -1}, "lora_alpha"),
        ({"lora_alpha": "16"}, "lora_alpha"),
        ({"alpha_pattern": {"(a+)+": 1}}, "alpha_pattern"),
        ({"alpha_pattern": {"q_proj": "1"}}, "alpha_pattern.q_proj"),
        ({"alpha_pattern": 3}, "alpha_pattern"),
    ],
)
def test_unsupported_settings_of_peft_are_refused(
    tmp_path: Path, model: Model, pairs: Pairs, settings: dict[str, Any], field: str
) -> None:
    folder = write_peft(tmp_path / "lora", pairs, (4, 2), **settings)
    with pytest.raises(llamacy.FormatError) as caught:
        model.set_adapters(folder)
    assert caught.value.field == field


PEFT = "base_model.model."
MODULE = f"{PEFT}model.layers.0.self_attn.q_proj."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "at least one pair"),
        ({f"{MODULE}lora_A.weight": zeros(5, 64)}, "lora_B"),
        ({f"{MODULE}weight": zeros(64, 64)}, "another"),
        ({f"{MODULE}lora_magnitude_vector": zeros(64)}, "lora_A"),
        (
            {
                f"{MODULE}lora_A.weight": zeros(5, 64),
                f"{MODULE}lora_B.weight": zeros(64),
            },
            "shape",
        ),
        (
            {
                f"{MODULE}lora_A.weight": zeros(5, 64),
                f"{MODULE}lora_B.weight": zeros(63, 5),
            },
            "64 rows",
        ),
        ({f"{PEFT}lm_head.base_layer.weight": zeros(51, 64)}, "50, 64"),
        ({f"{PEFT}lm_head.weight": zeros(49, 64)}, "50, 64"),
        (
            {
                f"{PEFT}model.norm.lora_A.weight": zeros(5, 64),
                f"{PEFT}model.norm.lora_B.weight": zeros(64, 5),
            },
            "linear layer",
        ),
        (
            {
                f"{PEFT}model.layers.7.mlp.up_proj.lora_A.weight": zeros(5, 64),
                f"{PEFT}model.layers.7.mlp.up_proj.lora_B.weight": zeros(96, 5),
            },
            "one of the model's matrices",
        ),
    ],
)
def test_a_peft_folder_whose_tensors_do_not_fit_is_refused(
    tmp_path: Path, model: Model, given: dict[str, Floats], said: str
) -> None:
    folder = write_peft(tmp_path / "lora", {}, (4, 2))
    hugging_face.write_safetensors(folder / "adapter_model.safetensors", given)
    with pytest.raises(llamacy.FormatError, match=said):
        model.set_adapters(folder)


@pytest.mark.parametrize(
    "missing", ["adapter_model.safetensors", "adapter_config.json"]
)
def test_a_missing_file_of_a_peft_folder_is_named(
    tmp_path: Path, model: Model, pairs: Pairs, missing: str
) -> None:
    folder = write_peft(tmp_path / "lora", pairs, (4, 2))
    (folder / missing).unlink()
    with pytest.raises(llamacy.ModelFileError, match=missing):
        model.set_adapters(folder)


@pytest.mark.parametrize("other", [3, [3], b"x"])
def test_adapters_must_be_paths(model: Model, other: Any) -> None:
    with pytest.raises(llamacy.ArgumentError, match="lora"):
        model.set_adapters(other)


@pytest.mark.parametrize("scale", [float("nan"), 1e9, "1"])
def test_the_scale_of_an_adapter_must_be_a_finite_number(
    model: Model, lora: Path, scale: Any
) -> None:
    with pytest.raises(llamacy.ArgumentError, match="lora"):
        model.set_adapters([(lora, scale)])
    with pytest.raises(llamacy.ArgumentError, match="lora"):
        model.set_adapters((lora, 1e9))


def test_a_missing_adapter_is_an_error(
    model: Model, lora: Path, tmp_path: Path
) -> None:
    for missing in (tmp_path / "none", [lora, tmp_path / "none"]):
        with pytest.raises(llamacy.ModelFileError):
            model.set_adapters(missing)


def test_models_and_adapters_are_not_mistaken_for_each_other(
    base: Path, lora: Path
) -> None:
    with pytest.raises(llamacy.FormatError, match=r"general\.type"):
        llamacy.load(base, lora=base)
    with pytest.raises(llamacy.FormatError, match="found"):
        llamacy.load(lora)
