"""PEFT's adapters: adapter_config.json, and the header of their safetensors."""

from __future__ import annotations

from typing import Any

from llamacy.errors import LlamacyError
from llamacy.formats.lora.peft import read_peft_adapter
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model
from llamacy.model_files.sources import locate

from .. import files
from ..documents import data_of, document_of

_FOLDER = files.scratch()
with open_model(locate("demo")) as _demo:
    _CONFIG = read_hyperparameters(_demo)[1]
_WEIGHTS = "adapter_model.safetensors"
_SETTINGS: dict[str, Any] = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 4,
    "bias": "none",
    "use_rslora": False,
    "use_dora": False,
    "fan_in_fan_out": False,
    "init_lora_weights": True,
    "rank_pattern": {},
    "alpha_pattern": {},
    "modules_to_save": None,
    "target_modules": ["q_proj"],
    "base_model_name_or_path": "somebody/some-model",
}


def _pair(module: str, n_in: int, n_out: int, dtype: str = "F32") -> dict[str, Any]:
    name = f"base_model.model.model.{module}"
    return {
        f"{name}.lora_A.weight": [dtype, [2, n_in]],
        f"{name}.lora_B.weight": [dtype, [n_out, 2]],
    }


def _adapter(tensors: dict[str, Any], **settings: Any) -> bytes:
    files_of = {"adapter_config.json": _SETTINGS | settings, "weights": _WEIGHTS}
    return data_of({**files_of, "tensors": tensors})


def seeds() -> list[bytes]:
    """Return adapters of several parts of the demo model."""
    n_embd, n_vocab = _CONFIG.n_embd, _CONFIG.n_vocab
    query = _pair("layers.0.self_attn.q_proj", n_embd, n_embd)
    down = _pair("layers.1.mlp.down_proj", 64, n_embd, "BF16")
    name = "base_model.model.model"
    embedding = {
        f"{name}.embed_tokens.lora_embedding_A": ["F32", [2, n_vocab]],
        f"{name}.embed_tokens.lora_embedding_B": ["F32", [n_embd, 2]],
    }
    norm = {f"{name}.norm.modules_to_save.default.weight": ["F32", [n_embd]]}
    magnitude = f"{name}.layers.0.self_attn.q_proj.lora_magnitude_vector"
    return [
        _adapter(query),
        _adapter(query | down, alpha_pattern={"q_proj": 8, r".*\.1\.mlp\..*": 2}),
        _adapter(query | embedding, use_rslora=True, rank_pattern={"q_proj": 2}),
        _adapter(query | norm, modules_to_save=["norm"]),
        _adapter(query | {magnitude: ["F32", [n_embd]]}, use_dora=True),
    ]


def run(data: bytes) -> None:
    """Read an adapter for the demo model."""
    document = document_of(data)
    if document is not None:
        files.write_folder(_FOLDER, document)
        files.attempts(
            lambda: read_peft_adapter(_FOLDER, _CONFIG), allowed=LlamacyError
        )
