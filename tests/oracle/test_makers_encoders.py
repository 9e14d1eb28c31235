"""Folders as the makers' own code has them give the rows of transformers' classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.config import Pooling
from tests.support.forward_passes import error
from tests.support.hugging_face import write_json, write_safetensors
from tests.support.saved_encoders import (
    MODERN,
    N_VOCAB,
    NOMIC,
    SIZES,
    embedded,
    make,
    of_transformers,
)

pytestmark = pytest.mark.oracle
safe_open = pytest.importorskip("safetensors").safe_open

Array = NDArray[np.float32]
FLASH = {"AutoConfig": "jinaai/x--configuration_xlm_roberta.XLMRobertaFlashConfig"}
NAMES_OF_JINA = {
    "encoder.layer.": "encoder.layers.",
    "attention.self.query": "mixer.Wqkv",
    "attention.output.dense": "mixer.out_proj",
    "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "output.LayerNorm": "norm2",
    "embeddings.LayerNorm": "emb_ln",
}


def read(folder: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the tensors and the keys of a folder."""
    with safe_open(folder / "model.safetensors", "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors, json.loads((folder / "config.json").read_text())


def write(folder: Path, tensors: dict[str, Array], config: dict[str, Any]) -> None:
    write_safetensors(folder / "model.safetensors", tensors)
    write_json(folder / "config.json", config)


def of_jina(found: dict[str, Array]) -> dict[str, Array]:
    """Name tensors as Jina does, who has queries, keys and values in one."""
    written: dict[str, Array] = {}
    for name, values in found.items():
        if ".self.key." in name or ".self.value." in name:
            continue
        if ".self.query." in name:
            parts = [found[name.replace("query", n)] for n in ("query", "key", "value")]
            values = np.concatenate(parts)
        for theirs, ours in NAMES_OF_JINA.items():
            name = name.replace(theirs, ours)
        written[name] = values
    return written


def with_adapters(tensors: dict[str, Array]) -> dict[str, Array]:
    """Put adapters for two tasks beside each matrix."""
    written: dict[str, Array] = {}
    for name, values in tensors.items():
        if values.ndim != 2:
            written[name] = values
            continue
        start = f"{name.removesuffix('weight')}parametrizations.weight."
        written[f"{start}original"] = values
        written[f"{start}0.lora_A"] = np.ones((2, 4, values.shape[1]), np.float32)
        written[f"{start}0.lora_B"] = np.ones((2, values.shape[0], 4), np.float32)
    return written


@pytest.mark.parametrize(
    ("name", "pooling"),
    [("XLMRobertaModel", "none"), ("XLMRobertaForSequenceClassification", "rank")],
)
def test_jinas_roberta_is_that_of_transformers(
    tmp_path: Path, name: str, pooling: Pooling
) -> None:
    folder, file = tmp_path / "folder", tmp_path / "file.gguf"
    model = make(folder, name, SIZES | {"num_labels": 1})
    tensors, config = read(folder)
    write(folder, of_jina(tensors), config | {"auto_map": FLASH})
    wanted = of_transformers(model)
    assert error(embedded(folder, model, pooling), wanted) < 5e-5
    llamacy.convert(folder, file)
    assert error(embedded(file, model, pooling), wanted) < 5e-5


def test_jinas_v3_is_that_of_transformers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Adapters of tasks, which stand beside its matrices, are left out."""
    folder = tmp_path / "folder"
    model = make(folder, "JinaEmbeddingsV3Model", SIZES)
    tensors, config = read(folder)
    del config["rope_parameters"]
    config |= {
        "architectures": ["XLMRobertaModel"],
        "model_type": "xlm-roberta",
        "auto_map": FLASH,
        "position_embedding_type": "rotary",
        "rotary_emb_base": 20000.0,
        "lora_adaptations": ["retrieval.query", "text-matching"],
    }
    write(folder, with_adapters(tensors), config)
    assert error(embedded(folder, model, "none"), of_transformers(model)) < 5e-5
    assert "adapters of 2 tasks left out, retrieval.query the first" in caplog.text


def test_older_keys_of_modern_bert_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    rotations = {"full_attention": 5e4, "sliding_attention": 500.0}
    kinds = ["full_attention", "sliding_attention"] * 2 + ["full_attention"]
    settings = {
        **MODERN,
        "rope_parameters": {
            kind: {"rope_type": "default", "rope_theta": base}
            for kind, base in rotations.items()
        },
        "layer_types": kinds,
    }
    model = make(folder, "ModernBertModel", settings)
    _, config = read(folder)
    del config["rope_parameters"], config["layer_types"]
    config |= {"global_rope_theta": 5e4, "local_rope_theta": 500.0}
    config |= {"global_attn_every_n_layers": 2, "layer_norm_eps": 1.0}
    write_json(folder / "config.json", config)
    assert error(embedded(folder, model, "none"), of_transformers(model)) < 5e-5


def test_nomics_keys_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    model = make(folder, "NomicBertModel", NOMIC)
    config = {
        "architectures": ["NomicBertModel"],
        "model_type": "nomic_bert",
        **{
            "n_embd": 64,
            "n_inner": 160,
            "n_layer": 3,
            "n_head": 4,
            "n_positions": 8192,
        },
        **{"activation_function": "swiglu", "layer_norm_epsilon": 1e-12},
        **{"rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "vocab_size": N_VOCAB},
        **{"qkv_proj_bias": False, "mlp_fc1_bias": False, "mlp_fc2_bias": False},
        "type_vocab_size": 2,
    }
    write_json(folder / "config.json", config)
    assert error(embedded(folder, model, "none"), of_transformers(model)) < 5e-5
