"""Tiny Qwen 3.5 models with MTP heads, which know more or less of what comes next."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support import random_model
from tests.support.families import DELTA_RULE, SMALL_EXPERTS
from tests.support.model_shapes import model_shapes

N_LAYER, N_EMBD, N_CTX = 4, 64, 1024
EXPERTS = {"qwen35": {}, "qwen35moe": SMALL_EXPERTS, "qwen3next": SMALL_EXPERTS}
OWN = ("shared_head_norm.weight", "embed_tokens.weight", "shared_head_head.weight")
"""Tensors of a head that those of the model may stand for."""

_RESULTS = ("attn_output", "ssm_out", "ffn_down", "ffn_down_exps", "ffn_down_shexp")


def write(
    path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
    random_tensors: Callable[..., dict[str, NDArray[np.float32]]],
    family: str = "qwen35",
    *,
    habit: float | None = None,
    own: tuple[str, ...] = (),
    change: Callable[[dict[str, NDArray[np.float32]]], None] | None = None,
) -> Path:
    """Write a model to `path`.

    Parameters
    ----------
    habit : float, optional
        How much of what the layers make of a token comes to the embedding that says
        what follows. The head knows the embedding alone, so that it is right about 0,
        and mostly about a little; by default all is random.
    own : tuple of str
        The tensors of `OWN` that the head has.
    change : callable, optional
        Alters the tensors.
    """
    keys = DELTA_RULE | EXPERTS[family] | {"nextn_predict_layers": 1}
    keys |= {"block_count": N_LAYER + 1, "context_length": N_CTX}
    metadata = llama_metadata(family, **keys) | random_model.vocabulary_metadata()
    metadata["tokenizer.chat_template"] = random_model.CHAT_TEMPLATE
    shapes = model_shapes(write_gguf, path.parent, metadata, own)
    tensors = random_tensors(shapes.items())
    for name in tensors:
        part = name.split(".")[-2]
        if name.endswith(".ssm_a"):  # steps decay what is kept
            tensors[name] = -np.abs(tensors[name])
        elif habit is not None and part in _RESULTS:
            tensors[name] *= habit
        elif habit is not None and part == "eh_proj":
            tensors[name] = np.eye(N_EMBD, 2 * N_EMBD, dtype=np.float32)
        elif habit is not None and part in ("enorm", "output_norm"):
            tensors[name][:] = 1
    if change is not None:
        change(tensors)
    return write_gguf(path, metadata, tensors, "F32")
