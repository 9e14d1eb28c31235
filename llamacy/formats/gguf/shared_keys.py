"""Layers of a model in a GGUF file that read the keys and values of earlier ones."""

from __future__ import annotations

from dataclasses import replace

from llamacy.config import (
    AttentionConfig,
    FamilyRules,
    LayerConfig,
    SharedAttentionConfig,
)
from llamacy.formats.gguf.keys import Keys


def with_shared(
    keys: Keys, rules: FamilyRules, layers: list[LayerConfig]
) -> tuple[LayerConfig, ...]:
    """Let the last layers, as many as the file says, read the keys of earlier ones.

    Each reads those of the last layer before them that has a window, or none, as it
    has. That is transformers' rule; llama.cpp takes the last layer but one for those
    with a window, which is the same layer in all of Google's models.

    Raises
    ------
    FormatError
        There is no such layer, or its keys have another size.
    """
    key = ".attention.shared_kv_layers"
    if key[1:] not in rules.keys or key not in keys:
        return tuple(layers)
    n_own = len(layers) - keys.integer(key, 0, len(layers) - 1)
    shared = []
    for number in range(n_own, len(layers)):
        own = layers[number].attention
        sources = [
            each
            for each in range(n_own)
            if (layers[each].attention.window is None) == (own.window is None)
        ]
        if not sources:
            kind = "without" if own.window is None else "with"
            wanted = f"a layer {kind} a window before those that share"
            keys.fail(key, wanted, len(layers) - n_own)
        source = layers[sources[-1]].attention
        if _of_keys(source) != _of_keys(own):
            wanted = f"keys as large as those of layer {sources[-1]}"
            keys.fail(key, wanted, f"{_of_keys(own)} in layer {number}")
        mixer = own.extended(SharedAttentionConfig, source=sources[-1])
        shared.append(replace(layers[number], mixer=mixer))
    return (*layers[:n_own], *shared)


def _of_keys(mixer: AttentionConfig) -> tuple[int, int, int]:
    return mixer.n_head_kv, mixer.head_dim, mixer.value_dim
