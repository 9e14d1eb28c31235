"""The sizes that config.json gives a model."""

from __future__ import annotations

from typing import NamedTuple

from llamacy.arguments import MAX_CTX
from llamacy.formats.gguf.config import (
    MAX_EMBD,
    MAX_FF,
    MAX_HEAD_DIM,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_VOCAB,
)
from llamacy.formats.json_text import JsonObject


class Sizes(NamedTuple):
    """What others are computed from; the names are those of ModelConfig."""

    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_ff: int
    n_vocab: int
    n_ctx_train: int


def read_sizes(config: JsonObject) -> Sizes:
    """Read and check a model's sizes.

    Raises
    ------
    FormatError : one is missing, out of range, or does not go with another.
    """
    n_embd = config.integer("hidden_size", 1, MAX_EMBD)
    n_head = config.integer("num_attention_heads", 1, MAX_HEADS)
    n_head_kv = config.integer("num_key_value_heads", 1, MAX_HEADS, default=n_head)
    if n_head % n_head_kv:
        config.fail("num_key_value_heads", f"a divisor of {n_head}", n_head_kv)
    if "head_dim" not in config and n_embd % n_head:
        config.fail("num_attention_heads", f"a divisor of {n_embd}", n_head)
    head_dim = config.integer("head_dim", 2, MAX_HEAD_DIM, default=n_embd // n_head)
    if head_dim % 2:  # half of the dimensions are turned with the other half
        config.fail("head_dim", "an even number", head_dim)
    return Sizes(
        n_layer=config.integer("num_hidden_layers", 1, MAX_LAYERS),
        n_embd=n_embd,
        n_head=n_head,
        n_head_kv=n_head_kv,
        head_dim=head_dim,
        n_ff=config.integer("intermediate_size", 1, MAX_FF),
        n_vocab=config.integer("vocab_size", 1, MAX_VOCAB),
        n_ctx_train=config.integer("max_position_embeddings", 1, MAX_CTX),
    )
