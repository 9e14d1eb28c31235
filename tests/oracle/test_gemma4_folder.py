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


def test_the_text_part_gives_the_logits_of_transformers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
    model = transformers.Gemma4ForConditionalGeneration(config).float().eval()
    ids = np.random.default_rng(1).integers(0, 90, 40).tolist()
    with torch.no_grad():
        want = model(input_ids=torch.tensor([ids])).logits[0].numpy()
    model.save_pretrained(tmp_path)
    assert "text_config" in json.loads((tmp_path / "config.json").read_text())
    with open_model(tmp_path) as file:
        executor = load_executor(file, read_config(file), executor="reference")
    got = executor.forward(Batch.of(ids, executor.new_sequence(), "all"))
    assert np.abs(got - want).max() <= 1e-4 * want.std()
    (message,) = caplog.messages
    parts = "model.vision_tower, model.embed_vision"
    assert f"left out, as only texts are read: {parts}, " in message
