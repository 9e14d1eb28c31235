"""Keys that many classes of transformers read, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from llamacy.formats.gguf.limits import MAX_LAYERS

Defaults: TypeAlias = Mapping[str, Any]

WINDOWED: Final = "sliding_attention"
WHOLE: Final = "full_attention"
"""Kinds of layers, with a window of attention and without, in `layer_types`."""

MODEL: Final[Defaults] = {
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "num_key_value_heads": None,
    "head_dim": None,
    "rope_theta": 1e4,
    "rope_scaling": None,
    "rope_parameters": None,
    "partial_rotary_factor": None,
    "original_max_position_embeddings": None,
    "quantization_config": None,
}
"""Of all classes but GPT-2's."""

RMS: Final[Defaults] = {**MODEL, "rms_norm_eps": 1e-6}
"""Of all classes with RMS norms."""

LLAMA_UNBIASED_MLP: Final[Defaults] = {
    **RMS,
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "attention_bias": False,
}
"""Of classes derived from LLaMA whose networks have no flag for biases."""

LLAMA: Final[Defaults] = {**LLAMA_UNBIASED_MLP, "mlp_bias": False}
"""Of LLaMA, and of classes derived from it."""


def n_layers(values: Mapping[str, Any]) -> int:
    """Return the number of layers; 0 if it is one that no model has.

    Keys of single layers are made before the number is checked.
    """
    found = values.get("num_hidden_layers")
    return found if type(found) is int and 0 < found <= MAX_LAYERS else 0
