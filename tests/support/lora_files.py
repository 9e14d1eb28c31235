"""Writes LoRA adapters, as GGUF files and as PEFT's folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from tests.support import hugging_face

Floats = NDArray[np.float32]
Pairs = Mapping[str, tuple[Floats, Floats]]


def random_pairs(
    shapes: Mapping[str, tuple[int, ...]], rank: int, seed: int, size: float = 0.5
) -> dict[str, tuple[Floats, Floats]]:
    """Draw pairs for the matrices among `shapes` that change them by about `size`."""
    rng = np.random.default_rng(seed)

    def noise(*shape: int, factor: float = 1.0) -> Floats:
        return rng.standard_normal(shape, np.float32) * np.float32(factor)

    pairs = {}
    for name, shape in shapes.items():
        if name.endswith("ffn_gate_inp_shexp.weight"):
            shape = (1, *shape)  # a vector in the model
        if len(shape) > 1 and not name.endswith("bias"):
            *n_expert, n_out, n_in = shape
            small = size * (rank * n_in) ** -0.5
            if name == "token_embd.weight":  # rows of the table, as in llama.cpp
                pairs[name] = (noise(n_out, rank), noise(n_in, rank, factor=small))
            else:
                pairs[name] = (
                    noise(*n_expert, rank, n_in),
                    noise(*n_expert, n_out, rank, factor=small),
                )
    return pairs


def product(name: str, a: Floats, b: Floats) -> Floats:
    """Return a pair's product, which is added to its matrix."""
    return a @ b.T if name == "token_embd.weight" else b @ a


def write_lora(
    path: Path,
    pairs: Pairs,
    *,
    alpha: float | None = 16.0,
    type_name: str = "F32",
    keys: Mapping[str, Any] | None = None,
) -> Path:
    """Write an adapter; `keys` replace or add metadata, None leaves one out."""
    metadata: dict[str, Any] = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": alpha,
    } | dict(keys or {})
    writer = gguf.GGUFWriter(path, metadata.pop("general.architecture"))
    for key, value in metadata.items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        elif value is not None:
            writer.add_uint32(key, value)
    kind = gguf.GGMLQuantizationType[type_name]
    for name, pair in pairs.items():
        for letter, matrix in zip("ab", pair, strict=True):
            data = gguf.quants.quantize(np.ascontiguousarray(matrix), kind)
            writer.add_tensor(f"{name}.lora_{letter}", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_peft(
    folder: Path,
    pairs: Pairs,
    n_heads: tuple[int, int],
    magnitudes: Mapping[str, Floats] | None = None,
    **settings: Any,
) -> Path:
    """Write a folder; `settings` replace or add to the usual ones.

    `magnitudes` are DoRA's, by name. `n_heads` counts the heads of queries and of keys,
    whose rows are in another order in Hugging Face's files.
    """
    folder.mkdir(exist_ok=True)
    config = {
        "peft_type": "LORA",
        "r": 8,
        "lora_alpha": 16,
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "rank_pattern": {},
        "alpha_pattern": {},
        "modules_to_save": None,
        "base_model_name_or_path": "somebody/some-model",
    } | settings
    hugging_face.write_json(folder / "adapter_config.json", config)
    tensors = {}
    magnitudes = magnitudes or {}
    for name, (a, b) in pairs.items():
        magnitude = magnitudes.get(name)
        if "attn_q" in name or "attn_k" in name:
            n_head = n_heads["attn_k" in name]
            b = _half_a_head_apart(b, n_head)
            if magnitude is not None:
                magnitude = _half_a_head_apart(magnitude, n_head)
        module = f"base_model.model.{peft_module(name)}"
        if name == "token_embd.weight":
            tensors[f"{module}.lora_embedding_A"] = np.ascontiguousarray(a.T)
            tensors[f"{module}.lora_embedding_B"] = b
        else:
            tensors[f"{module}.lora_A.weight"] = a
            tensors[f"{module}.lora_B.weight"] = b
        if magnitude is not None:
            tensors[f"{module}.lora_magnitude_vector"] = magnitude
    hugging_face.write_safetensors(folder / "adapter_model.safetensors", tensors)
    return folder


def peft_module(name: str) -> str:
    """Return Hugging Face's name of a matrix's module."""
    *layer, part, _ = name.split(".")
    if layer:
        return f"model.layers.{layer[1]}.{hugging_face.NAMES[part]}"
    return {"token_embd": "model.embed_tokens", "output": "lm_head"}[part]


def _half_a_head_apart(rows: Floats, n_head: int) -> Floats:
    """Move rows 2i and 2i + 1 of each head to i and i + head_dim / 2."""
    heads = np.split(rows, n_head)
    return np.concatenate([part for head in heads for part in (head[::2], head[1::2])])
