"""Model families: one short file each, named as the formats name the family.

A family is two functions: `tensors(config)`, the names and shapes it is made of,
and `forward(ops, config, weights)`, its layers put together in the vocabulary of
:mod:`llamacy.ops.vocabulary`. Adding a family is a file and a row in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llamacy.architectures import (
    gemma2,
    gemma3,
    gpt_oss,
    granite,
    llama,
    olmo2,
    phi3,
    qwen2,
    qwen2moe,
    qwen3,
    qwen3moe,
    smollm3,
)
from llamacy.architectures.weights import TensorSpec
from llamacy.config import ModelConfig
from llamacy.errors import UnsupportedError, shown
from llamacy.ops.vocabulary import Forward


@dataclass(frozen=True, slots=True)
class Architecture:
    """One model family; a mixture is none without experts."""

    tensors: Callable[[ModelConfig], dict[str, TensorSpec]]
    forward: Forward
    is_mixture: bool = False


ARCHITECTURES = {
    "gemma2": Architecture(gemma2.tensors, gemma2.forward),
    "gemma3": Architecture(gemma3.tensors, gemma3.forward),
    "gpt-oss": Architecture(gpt_oss.tensors, gpt_oss.forward, is_mixture=True),
    "granite": Architecture(granite.tensors, granite.forward),
    "llama": Architecture(llama.tensors, llama.forward),
    "olmo2": Architecture(olmo2.tensors, olmo2.forward),
    "phi3": Architecture(phi3.tensors, phi3.forward),
    "qwen2": Architecture(qwen2.tensors, qwen2.forward),
    "qwen2moe": Architecture(qwen2moe.tensors, qwen2moe.forward, is_mixture=True),
    "qwen3": Architecture(qwen3.tensors, qwen3.forward),
    "qwen3moe": Architecture(qwen3moe.tensors, qwen3moe.forward, is_mixture=True),
    "smollm3": Architecture(smollm3.tensors, smollm3.forward),
}


def find_architecture(name: str, path: str) -> Architecture:
    """Find the family called `name`.

    Raises
    ------
    UnsupportedError : no such family here; names those there are.
    """
    if name not in ARCHITECTURES:
        known = f"one of {', '.join(ARCHITECTURES)}"
        raise UnsupportedError(path, "general.architecture", known, shown(name))
    return ARCHITECTURES[name]
