"""Writes LoRA adapters of random numbers, for any model in memory."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

from llamacy import Model

RANK = 4
SIZE = 0.3  # about as much as an adapter changes of a row


def write_random_adapter(model: Model, folder: Path, seed: int) -> Path:
    """Write an adapter of the queries and values of all layers.

    Returns
    -------
    Path
        A new GGUF file in `folder`.
    """
    rng = np.random.default_rng(seed)
    path = folder / f"random-{seed}.gguf"
    writer = gguf.GGUFWriter(path, model.config.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", RANK)
    for name, shape in model.executor.shapes.items():
        if name.endswith(("attn_q.weight", "attn_v.weight")):
            n_out, n_in = shape
            a = rng.standard_normal((RANK, n_in), np.float32)
            b = rng.standard_normal((n_out, RANK), np.float32)
            writer.add_tensor(f"{name}.lora_a", a)
            writer.add_tensor(f"{name}.lora_b", b * SIZE * (RANK * n_in) ** -0.5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
