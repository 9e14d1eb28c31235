"""Corrupted files through load, tokenizer and passes: typed errors, or working models.

Each source is mutated in a process of its own, so that a crash fails one test, and is
named by the last seed which that process printed. `LLAMACY_MUTANTS` is how many mutants
are made of each.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray
from random_blocks import FACTORS, random_blocks

import llamacy
from llamacy.formats.ggml import GGMLType

N_MUTANTS = int(os.environ.get("LLAMACY_MUTANTS", "100"))
SOURCES = ("stories", "babble", "low_bits", "features")
SCRIPT = Path(__file__).with_name("mutants.py")
# The package under test, wherever the tests are run.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(llamacy.__file__).parents[1])}

YARN: dict[str, Any] = {
    "llama.rope.scaling.type": "yarn",
    "llama.rope.scaling.factor": 4.0,
    "llama.rope.scaling.original_context_length": 32,
}


@pytest.fixture(params=SOURCES)
def source(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
) -> Path:
    """A sound file; between them they have all that a file may have."""
    if request.param == "stories":
        shared: Path = request.getfixturevalue("shared")
        return shared / "models" / "stories260K-Q8_0.gguf"
    if request.param == "babble":
        babble: Path = request.getfixturevalue("babble_model")
        return babble
    path = tmp_path / f"{request.param}.gguf"
    if request.param == "low_bits":
        keys = llama_metadata(embedding_length=256, feed_forward_length=256)
        write_byte_level(path, keys, random_tensors(shapes(256, 256)), is_random=True)
    else:
        optional = [("rope_freqs.weight", (8,))]
        optional += [("blk.0.attn_q.bias", (64,)), ("blk.1.ffn_down.bias", (64,))]
        tensors = random_tensors([*shapes(64, 96), *optional])
        write_byte_level(path, llama_metadata() | YARN, tensors)
    return path


def shapes(n_embd: int, n_ff: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the tensors of two layers with half as many key heads."""
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


def write_byte_level(
    path: Path,
    metadata: dict[str, Any],
    tensors: dict[str, NDArray[np.float32]],
    *,
    is_random: bool = False,
) -> None:
    """Write a model with a byte-level vocabulary; matrices F16, or of a type each."""
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
        if values.ndim == 1:
            writer.add_tensor(name, values)
        elif is_random:
            type_name = [*FACTORS][index % len(FACTORS)]
            n_blocks = values.size // GGMLType[type_name].block_size
            data = random_blocks(type_name, n_blocks, rng, (1e-4, 2e-4))
            data = data.reshape(len(values), -1)
            raw_type = gguf.GGMLQuantizationType[type_name]
            writer.add_tensor(name, data, raw_dtype=raw_type)
        else:
            writer.add_tensor(name, values.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def byte_characters() -> list[str]:
    """The 256 characters that stand for bytes in GPT-2's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    stand_in = {byte: 256 + index for index, byte in enumerate(others)}
    return [chr(stand_in.get(byte, byte)) for byte in range(256)]


def test_mutants(source: Path, tmp_path: Path) -> None:
    command = [sys.executable, *map(str, (SCRIPT, source, tmp_path, 0, N_MUTANTS))]
    with (tmp_path / "said").open("w+") as out:
        done = subprocess.run(
            command,
            stdout=out,
            stderr=out,
            env=ENVIRONMENT,
            timeout=60 + N_MUTANTS // 10,  # of it a mutant takes a few thousandths
            check=False,
        )
        out.seek(0)
        said = out.read()
    assert done.returncode == 0, f"{source}, the last mutant: {said[-5000:]}"
    tried, worked = map(int, re.findall(r"(\d+) (?:tried|worked)", said))
    assert tried == N_MUTANTS
    # some changes do no harm; most do, or the mutants would be of one kind only
    assert 0 < worked < 0.5 * N_MUTANTS
