"""A tiny LLaMA with a byte-level vocabulary, and matrices of any types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from tests.support.random_blocks import FACTORS, random_weights
from tests.support.raw_types import raw_type


def shapes(n_embd: int, n_ff: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Return names and shapes of two layers' tensors, with half as many key heads."""
    yield "token_embd.weight", (258, n_embd)
    yield "output_norm.weight", (n_embd,)
    for layer in range(2):
        for name, shape in (
            ("attn_norm", (n_embd,)),
            ("attn_q", (n_embd, n_embd)),
            ("attn_k", (n_embd // 2, n_embd)),
            ("attn_v", (n_embd // 2, n_embd)),
            ("attn_output", (n_embd, n_embd)),
            ("ffn_norm", (n_embd,)),
            ("ffn_gate", (n_ff, n_embd)),
            ("ffn_up", (n_ff, n_embd)),
            ("ffn_down", (n_embd, n_ff)),
        ):
            yield f"blk.{layer}.{name}.weight", shape


def write(
    path: Path,
    metadata: Mapping[str, Any],
    tensors: Mapping[str, NDArray[np.float32]],
    type_names: Sequence[str] = ("F16",),
) -> None:
    """Write a model whose matrices have the given types in turn.

    Matrices of types without a quantizer are random, of the size of the given ones.
    """
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in metadata.items():
        if isinstance(value, int) and not key.endswith("vocab_size"):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*byte_characters(), "th", "<s>"])
    writer.add_token_types([gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.CONTROL])
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(257)
    writer.add_eos_token_id(257)
    rng = np.random.default_rng(0)
    for index, (name, values) in enumerate(tensors.items()):
        type_name = type_names[index % len(type_names)]
        raw = raw_type(type_name)
        if values.ndim == 1:
            writer.add_tensor(name, values)
        elif type_name in FACTORS:
            data = random_weights(type_name, values.shape, float(values.std()), rng)
            writer.add_tensor(name, data, raw_dtype=raw)
        else:
            data = gguf.quants.quantize(values, raw)
            writer.add_tensor(name, data, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def byte_characters() -> list[str]:
    """Return the 256 characters that stand for bytes in GPT-2's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_in = {byte: 256 + index for index, byte in enumerate(others)}
    return [chr(stand_in.get(byte, byte)) for byte in range(256)]
