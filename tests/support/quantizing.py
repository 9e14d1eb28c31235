"""Models to be quantised: shapes of whole blocks, importance, and the files left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import llamacy
from llamacy.formats.gguf.file import open_gguf

NEEDS_IMATRIX = (
    *("IQ3_XXS", "IQ3_XS", "Q2_K_S", "IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS"),
    *("IQ1_M", "IQ1_S"),
)
N_EMBD, N_FF = 256, 512
SHAPES = {
    "token_embd.weight": (50, N_EMBD),
    **{
        f"blk.{layer}.{part}.weight": shape
        for layer in range(2)
        for part, shape in {
            "attn_norm": (N_EMBD,),
            "attn_q": (N_EMBD, N_EMBD),
            "attn_k": (N_EMBD // 2, N_EMBD),
            "attn_v": (N_EMBD // 2, N_EMBD),
            "attn_output": (N_EMBD, N_EMBD),
            "ffn_norm": (N_EMBD,),
            "ffn_gate": (N_FF, N_EMBD),
            "ffn_up": (N_FF, N_EMBD),
            "ffn_down": (N_EMBD, N_FF),
        }.items()
    },
    "output_norm.weight": (N_EMBD,),
    "output.weight": (50, N_EMBD),
}


def importance_of(path: Path) -> llamacy.ImportanceMatrix:
    """Return random importance for the matrices of a model's layers."""
    rng = np.random.default_rng(1)
    with open_gguf(path) as file:
        shapes = {name: each.shape for name, each in file.tensors.items()}
    entries = {
        name: llamacy.InputSums(
            np.exp(rng.standard_normal((1, shape[-1]))).astype(np.float32),
            np.array([1]),
        )
        for name, shape in shapes.items()
        if name.startswith("blk.") and len(shape) == 2
    }
    return llamacy.ImportanceMatrix(entries, ("folder/text.txt",), 7, path="a/b.gguf")


def finish(writer: Any, path: Path) -> Path:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def leftovers(folder: Path, *expected: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {path.name for path in expected}
