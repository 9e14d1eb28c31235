"""Tiny models with random weights that embed texts, or rank them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import byte_level_model
from tests.support.model_shapes import model_shapes

MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("the", "cat", "dog", "sat", "on", "mat", "who", "lives", "here", ".", "?")
N_CTX = 24
"""Most tokens of a text, those around it included."""

QWEN_MARKS = ("<|im_start|>", "<|im_end|>", "<think>", "</think>")
MERGES = {"y e": "ye", "ye s": "yes", "n o": "no"}

CLASSIFIER = ("cls.weight", "cls.bias", "cls.output.weight", "cls.output.bias")

WriteEncoder = Callable[..., Path]


@pytest.fixture(scope="session")
def write_encoder(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Any],
) -> WriteEncoder:
    """Write a BERT: keyword arguments are keys; `also` names optional tensors.

    `broken` is a word whose embedding has a NaN.
    """

    def write(*, also: tuple[str, ...] = (), broken: str = "", **keys: Any) -> Path:
        folder = tmp_path_factory.mktemp("encoder")
        tokens = [*MARKS, *(f"▁{word}" for word in WORDS)]
        tokens += [mark + chr(97 + i) for mark in ("▁", "") for i in range(26)]
        metadata = llama_metadata(
            "bert",
            **{
                "vocab_size": len(tokens),
                "context_length": N_CTX,
                "attention__head_count_kv": 4,
                "attention__causal": False,
                "attention__layer_norm_epsilon": 1e-5,
                "tokenizer.ggml.token_type_count": 2,
                **keys,
            },
        )
        metadata |= {
            "tokenizer.ggml.model": "bert",
            "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [3] * 4 + [1] * (len(tokens) - 4),
            "tokenizer.ggml.bos_token_id": 2,
            "tokenizer.ggml.seperator_token_id": 3,
            "tokenizer.ggml.unknown_token_id": 1,
        }
        shapes = model_shapes(write_gguf, folder, metadata, also)
        tensors = random_tensors(shapes.items())
        if broken:
            tensors["token_embd.weight"][tokens.index(f"▁{broken}"), 3] = np.nan
        return write_gguf(folder / "model.gguf", metadata, tensors, "F32")

    return write


@pytest.fixture(scope="session")
def encoder(write_encoder: WriteEncoder) -> Path:
    """An encoder whose file says that it pools by the mean."""
    return write_encoder(pooling_type=1)


@pytest.fixture(scope="session")
def cross_encoder(write_encoder: WriteEncoder) -> Path:
    """A classifier of pairs, with one score."""
    return write_encoder(pooling_type=4, also=(*CLASSIFIER, "token_types.weight"))


@pytest.fixture(scope="session")
def yes_or_no(
    tmp_path_factory: pytest.TempPathFactory,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., Any],
) -> Path:
    """A model that writes texts, of the family of Qwen's rerankers."""
    folder = tmp_path_factory.mktemp("judge")
    tokens = [*byte_level_model.byte_characters(), *MERGES.values(), *QWEN_MARKS]
    n_marks = len(QWEN_MARKS)
    metadata = llama_metadata("qwen3", vocab_size=len(tokens), context_length=700)
    metadata |= {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * (len(tokens) - n_marks) + [3] * n_marks,
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.eos_token_id": len(tokens) - 3,
    }
    shapes = model_shapes(write_gguf, folder, metadata)
    path = folder / "model.gguf"
    return write_gguf(path, metadata, random_tensors(shapes.items()), "F32")
