"""Gemma 4 with parts for images and sound: the text part runs, the others are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llamacy.formats.gguf.config import read_config
from llamacy.model.executors import load_executor
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import Batch

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")
save_file = pytest.importorskip("safetensors.torch").save_file
load_file = pytest.importorskip("safetensors.torch").load_file


def make() -> Any:
    torch.manual_seed(0)
    small: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
    }
    text = small | {
        "num_hidden_layers": 4,
        "layer_types": 2 * ["sliding_attention", "full_attention"],
        "global_head_dim": 32,
        "num_kv_shared_layers": 2,
        "hidden_size_per_layer_input": 16,
        "vocab_size": 96,
        "vocab_size_per_layer_input": 96,
        "sliding_window": 8,
        "initializer_range": 0.2,
    }
    vision = small | {"num_hidden_layers": 1, "position_embedding_size": 16}
    config = transformers.Gemma4Config(
        text_config=text,
        vision_config=vision,
        **dict(zip(("image_token_id", "video_token_id"), (94, 95), strict=True)),
    )
    return transformers.Gemma4ForConditionalGeneration(config).float().eval()


def check(model: Any, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Compare the logits of a folder with those of the model that it is made from."""
    ids = np.random.default_rng(1).integers(0, 90, 40).tolist()
    with torch.no_grad():
        want = model(input_ids=torch.tensor([ids])).logits[0].numpy()
    with open_model(folder) as file:
        executor = load_executor(file, read_config(file), executor="reference")
    got = executor.forward(Batch.of(ids, executor.new_sequence(), "all"))
    assert np.abs(got - want).max() <= 1e-4 * want.std()
    (message,) = caplog.messages
    parts = "model.vision_tower, model.embed_vision"
    assert f"left out, as only texts are read: {parts}, " in message


def test_the_text_part_gives_the_logits_of_transformers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = make()
    model.save_pretrained(tmp_path)
    assert "text_config" in json.loads((tmp_path / "config.json").read_text())
    check(model, tmp_path, caplog)


def float8(weight: Any) -> tuple[dict[str, Any], Any]:
    """Return a matrix in float8 with scales of blocks, and what it stands for."""
    n_out, n_in = weight.shape
    scales = 0.002 + 0.004 * torch.rand(-(-n_out // BLOCK), -(-n_in // BLOCK))
    of_all = torch.kron(scales, torch.ones(BLOCK, BLOCK))[:n_out, :n_in]
    codes = (weight / of_all).clamp(-448, 448).to(torch.float8_e4m3fn)
    return {"weight": codes, "weight_scale_inv": scales}, codes.float() * of_all


def integers(weight: Any) -> tuple[dict[str, Any], Any]:
    """Return a matrix in int8 with a scale a row, and what it stands for."""
    scales = weight.abs().amax(1, keepdim=True) / 127
    codes = (weight / scales).round().to(torch.int8)
    return {"weight": codes, "weight_scale": scales}, codes.float() * scales


BLOCK = 16
INTEGERS = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}
QUANTISED: dict[str, tuple[Any, dict[str, Any]]] = {
    "fp8": (float8, {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}),
    "compressed-tensors": (
        integers,
        {
            "quant_method": "compressed-tensors",
            "format": "int-quantized",
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": INTEGERS}},
            "quantization_status": "compressed",
        },
    ),
}


@pytest.mark.parametrize("name", QUANTISED)
@pytest.mark.parametrize("is_inside", [False, True], ids=["beside", "in text_config"])
def test_quantised_texts_beside_quantised_images_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, is_inside: bool
) -> None:
    quantize, settings = QUANTISED[name]
    model = make()
    with torch.no_grad():
        model.save_pretrained(tmp_path)
        tensors = load_file(tmp_path / "model.safetensors")
        for module_name, module in model.named_modules():
            matrix = f"{module_name}.weight"
            if isinstance(module, torch.nn.Linear) and matrix in tensors:
                stored, weight = quantize(tensors.pop(matrix))
                tensors |= {f"{module_name}.{end}": x for end, x in stored.items()}
                module.weight.copy_(weight)
    ends = ("scale", "scale_inv")
    assert any("vision" in each and each.endswith(ends) for each in tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    (config["text_config"] if is_inside else config)["quantization_config"] = settings
    (tmp_path / "config.json").write_text(json.dumps(config))
    check(model, tmp_path, caplog)
