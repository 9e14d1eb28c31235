"""Folders in Hugging Face's form, written by hand: safetensors and SentencePiece."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support import random_model

Tensors = Mapping[str, NDArray[Any]]

DTYPES = {"float32": "F32", "float16": "F16", "uint16": "BF16", "uint8": "U8"}
DTYPES |= {"float64": "F64", "int8": "I8", "int32": "I32", "int64": "I64"}
DTYPES["void8"] = "F8_E4M3"

NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

BABBLE = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": random_model.N_EMBD,
    "intermediate_size": random_model.N_FF,
    "max_position_embeddings": random_model.N_CTX,
    "num_attention_heads": random_model.N_HEAD,
    "num_hidden_layers": random_model.N_LAYER,
    "num_key_value_heads": random_model.N_HEAD_KV,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""config.json of the model that `random_model` makes, but for its vocabulary's size."""


def header_of(tensors: Tensors) -> dict[str, Any]:
    """Return the header of a file of `tensors`.

    uint16 stands for bfloat16, and bytes of no type, as `view("V1")` makes them, for
    floats of 8 bits.
    """
    header: dict[str, Any] = {}
    at = 0
    for name, values in tensors.items():
        header[name] = {
            "dtype": DTYPES[values.dtype.name],
            "shape": list(values.shape),
            "data_offsets": [at, at + values.nbytes],
        }
        at += values.nbytes
    return header


def write_raw(path: Path, header: Any, data: bytes, length: int | None = None) -> Path:
    """Write a file with any header: an object, or its text."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(struct.pack("<Q", size) + text + data)
    return path


def write_safetensors(path: Path, tensors: Tensors) -> Path:
    """Write a valid file."""
    data = b"".join(values.tobytes() for values in tensors.values())
    return write_raw(path, header_of(tensors), data)


def write_json(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def halves_apart(rows: NDArray[Any], n_head: int) -> NDArray[Any]:
    """Return rows of Q or K in Hugging Face's order, from ggml's."""
    pairs = rows.reshape(n_head, -1, 2, *rows.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows.shape)


def hugging_face_tensors(tensors: Tensors) -> dict[str, NDArray[Any]]:
    """Return the tensors of `random_model` under Hugging Face's names."""
    heads = {"attn_q": random_model.N_HEAD, "attn_k": random_model.N_HEAD_KV}
    outside = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    outside["output"] = "lm_head"
    made = {}
    for name, values in tensors.items():
        *layer, part, suffix = name.split(".")
        if not layer:
            made[f"{outside[part]}.{suffix}"] = values
            continue
        if part in heads:
            values = halves_apart(values, heads[part])
        made[f"model.layers.{layer[1]}.{NAMES[part]}.{suffix}"] = values
    return made


def write_babble(
    folder: Path, *, config: Mapping[str, Any] | None = None, n_files: int = 1
) -> Path:
    """Write the model of `random_model`, with its vocabulary, in float32.

    Parameters
    ----------
    config : mapping of str to Any, optional
        Changes to config.json; None leaves a key out.
    n_files : int
        Number of files to distribute the tensors over.
    """
    folder.mkdir(exist_ok=True)
    texts, scores, types = random_model.vocabulary()
    tensors = hugging_face_tensors(random_model.tensors(len(texts), seed=0))
    write_tensors(folder, tensors, n_files)
    whole = {**BABBLE, "vocab_size": len(texts), **(config or {})}
    write_json(folder / "config.json", whole)
    (folder / "tokenizer.model").write_bytes(sentencepiece(texts, scores, types))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    settings["chat_template"] = random_model.CHAT_TEMPLATE
    write_json(folder / "tokenizer_config.json", settings | {"add_bos_token": True})
    return folder


def write_tensors(folder: Path, tensors: Tensors, n_files: int = 1) -> None:
    """Write one file, or several and their index."""
    if n_files == 1:
        write_safetensors(folder / "model.safetensors", tensors)
        return
    places: dict[str, str] = {}
    for i in range(n_files):
        name = f"model-{i + 1:05d}-of-{n_files:05d}.safetensors"
        part = dict(list(tensors.items())[i::n_files])
        write_safetensors(folder / name, part)
        places |= dict.fromkeys(part, name)
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    write_json(folder / "model.safetensors.index.json", index)


# SentencePiece's ModelProto.


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def message(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def sentencepiece(
    texts: Sequence[str],
    scores: Sequence[float],
    types: Sequence[int],
    *,
    model_type: int = 2,
    add_prefix: bool = True,
    remove_spaces: bool = False,
    extra: bytes = b"",
) -> bytes:
    """Return a tokenizer.model; `extra` is added to its normalizer."""
    pieces = b"".join(
        message(1, message(1, text.encode()) + struct.pack("<Bf", 0x15, score)
                + number(3, kind))
        for text, score, kind in zip(texts, scores, types, strict=True)
    )  # fmt: skip
    trainer = number(3, model_type) + number(35, 1)
    normalizer = message(1, b"identity") + number(3, add_prefix)
    normalizer += number(4, remove_spaces) + number(5, 1) + extra
    return pieces + message(2, trainer) + message(3, normalizer)
