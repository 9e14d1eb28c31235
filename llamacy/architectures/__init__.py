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
    granite,
    llama,
    olmo2,
    phi3,
    qwen2,
    qwen3,
    smollm3,
)
from llamacy.architectures.weights import TensorSpec
from llamacy.config import ModelConfig
from llamacy.errors import UnsupportedError
from llamacy.formats.cursor import shown
from llamacy.ops.vocabulary import Forward


@dataclass(frozen=True, slots=True)
class Architecture:
    """One model family."""

    tensors: Callable[[ModelConfig], dict[str, TensorSpec]]
    forward: Forward


ARCHITECTURES = {
    "gemma2": Architecture(gemma2.tensors, gemma2.forward),
    "gemma3": Architecture(gemma3.tensors, gemma3.forward),
    "granite": Architecture(granite.tensors, granite.forward),
    "llama": Architecture(llama.tensors, llama.forward),
    "olmo2": Architecture(olmo2.tensors, olmo2.forward),
    "phi3": Architecture(phi3.tensors, phi3.forward),
    "qwen2": Architecture(qwen2.tensors, qwen2.forward),
    "qwen3": Architecture(qwen3.tensors, qwen3.forward),
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
