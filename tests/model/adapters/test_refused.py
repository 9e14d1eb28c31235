"""What is no adapter, or none of this model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hugging_face
import numpy as np
import pytest
from lora_files import Pairs, write_lora, write_peft
from numpy.typing import NDArray

import llamacy
from llamacy.model.model import Model

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
        ({"adapter.alora.invocation_tokens": [1, 2]}, "adapter"),
    ],
)
def test_metadata(
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
def test_tensors(tmp_path: Path, model: Model, pairs: Pairs, field: str) -> None:
    path = write_lora(tmp_path / "lora.gguf", pairs)
    with pytest.raises(llamacy.FormatError) as caught:
        model.set_adapters(path)
    assert caught.value.field.startswith(field)


def test_names(tmp_path: Path, model: Model) -> None:
    alone = {NAME: (zeros(5, 64),)}
    import gguf

    for name in (f"{NAME}.lora_a", f"{NAME}.lora_c", ".lora_a", NAME):
        writer = gguf.GGUFWriter(tmp_path / "lora.gguf", "llama")
        writer.add_string("general.type", "adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_tensor(name, alone[NAME][0])
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
        ({"use_dora": True}, "use_dora"),
        ({"fan_in_fan_out": True}, "fan_in_fan_out"),
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
def test_settings_of_peft(
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
        ({f"{MODULE}lora_magnitude_vector": zeros(64)}, "another"),
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
        ({f"{PEFT}lm_head.weight": zeros(50, 64)}, "another"),
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
def test_tensors_of_peft(
    tmp_path: Path, model: Model, given: dict[str, Floats], said: str
) -> None:
    folder = write_peft(tmp_path / "lora", {}, (4, 2))
    hugging_face.write_safetensors(folder / "adapter_model.safetensors", given)
    with pytest.raises(llamacy.FormatError, match=said):
        model.set_adapters(folder)


def test_missing_files_of_peft(tmp_path: Path, model: Model, pairs: Pairs) -> None:
    folder = write_peft(tmp_path / "lora", pairs, (4, 2))
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (folder / name).unlink()
        with pytest.raises(llamacy.ModelFileError, match=name):
            model.set_adapters(folder)


def test_arguments(model: Model, base: Path, lora: Path, tmp_path: Path) -> None:
    for bad in (3, [3], b"x", [(lora, float("nan"))], (lora, 1e9), [(lora, "1")]):
        with pytest.raises(llamacy.ArgumentError, match="lora"):
            model.set_adapters(bad)  # type: ignore[arg-type]
    for missing in (tmp_path / "none", [lora, tmp_path / "none"]):
        with pytest.raises(llamacy.ModelFileError):
            model.set_adapters(missing)
    with pytest.raises(llamacy.FormatError, match=r"general\.type"):
        llamacy.load(base, lora=base)
    with pytest.raises(llamacy.FormatError, match="found"):
        llamacy.load(lora)
