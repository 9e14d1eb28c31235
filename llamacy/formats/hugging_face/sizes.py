"""The sizes that config.json gives a model."""

from __future__ import annotations

from typing import NamedTuple

from llamacy.arguments import MAX_CTX
from llamacy.formats.gguf.limits import (
    MAX_EMBD,
    MAX_FF,
    MAX_HEAD_DIM,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_VOCAB,
)
from llamacy.formats.json_text import JsonObject


class Sizes(NamedTuple):
    """Sizes of a model; the names are those of `ModelConfig`.

    Attributes
    ----------
    n_layer, n_embd : int
        Layers, and the width of the residual stream.
    n_head, n_head_kv : tuple of int
        Heads of queries, and of keys and values, of each layer; a recurrent layer has 0
        of the latter.
    head_dim : int
        Dimensions of a head in every layer; 0 in a model without attention.
    n_ff : tuple of int
        Width of each layer's feed-forward network; 0 in one without.
    n_vocab, n_ctx_train : int
        Tokens of the vocabulary, and of the context.
    """

    n_layer: int
    n_embd: int
    n_head: tuple[int, ...]
    n_head_kv: tuple[int, ...]
    head_dim: int
    n_ff: tuple[int, ...]
    n_vocab: int
    n_ctx_train: int


def read_sizes(config: JsonObject) -> Sizes:
    """Read and check a model's sizes.

    Raises
    ------
    FormatError
        A size is missing, out of range, or does not go with another.
    """
    n_layer = config.integer("num_hidden_layers", 1, MAX_LAYERS)
    n_embd = config.integer("hidden_size", 1, MAX_EMBD)
    recurrent = config.items("recurrent_layers")
    if recurrent and all(recurrent):  # without attention, and without networks
        return Sizes(
            n_layer,
            n_embd,
            *((0,) * n_layer, (0,) * n_layer),
            head_dim=0,
            n_ff=(0,) * n_layer,
            n_vocab=config.integer("vocab_size", 1, MAX_VOCAB),
            n_ctx_train=config.integer("max_position_embeddings", 1, MAX_CTX),
        )
    n_head = _per_layer(config, "num_attention_heads", n_layer, MAX_HEADS)
    n_head_kv = n_head
    least = 0 if recurrent else 1  # of layers that are recurrent, or have one part
    if "num_key_value_heads" in config:
        n_head_kv = _per_layer(config, "num_key_value_heads", n_layer, MAX_HEADS, least)
    for of_queries, of_keys in zip(n_head, n_head_kv, strict=True):
        if of_keys and of_queries % of_keys:
            config.fail("num_key_value_heads", f"a divisor of {of_queries}", of_keys)
    if "head_dim" not in config and n_embd % n_head[0]:
        config.fail("num_attention_heads", f"a divisor of {n_embd}", n_head[0])
    default = n_embd // n_head[0]
    head_dim = config.integer("head_dim", 2, MAX_HEAD_DIM, default)
    if head_dim % 2:  # half of the dimensions are rotated with the other half
        config.fail("head_dim", "an even number", head_dim)
    return Sizes(
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=n_head,
        n_head_kv=n_head_kv,
        head_dim=head_dim,
        n_ff=_per_layer(config, "intermediate_size", n_layer, MAX_FF, least),
        n_vocab=config.integer("vocab_size", 1, MAX_VOCAB),
        n_ctx_train=config.integer("max_position_embeddings", 1, MAX_CTX),
    )


def _per_layer(
    config: JsonObject, key: str, n_layer: int, most: int, least: int = 1
) -> tuple[int, ...]:
    """Read a whole number: one for all layers, or an array of one a layer."""
    found = config.get(key)
    if not isinstance(found, list):
        return (config.integer(key, least, most),) * n_layer
    if len(found) != n_layer or not all(type(each) is int for each in found):
        config.fail(key, f"a whole number, or {n_layer} of them", found)
    for layer, number in enumerate(found):
        if not least <= number <= most:
            config.fail(key, f"{least} to {most}", f"{number} in layer {layer}")
    return tuple(found)
