"""The shapes of encoders, which embed texts and write none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from random_models.keys import beside_recurrent, sizes
from random_models.shape import Shape

_QKV: Final = ("attn_qkv",)
_BIASES: Final = (
    *("attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias"),
    *("ffn_up.bias", "ffn_down.bias", "token_types.weight"),
)


def _encoder(
    n_embd: int, n_head: int, n_ff: int, n_ctx: int, n_types: int = 2, **more: Any
) -> dict[str, Any]:
    """Return the keys of an encoder."""
    head_dim = n_embd // n_head
    keys = sizes(n_embd, n_head, n_head, head_dim, n_ff, context_length=n_ctx, **more)
    return _both_ways(keys) | {"tokenizer.ggml.token_type_count": n_types}


def _both_ways(keys: Mapping[str, Any], pooling: int = 1) -> dict[str, Any]:
    """Return the keys of a model like those that write texts, as an encoder."""
    return {**keys, ".pooling_type": pooling, ".attention.causal": False}


ENCODER_SHAPES: Final[dict[str, Shape]] = {
    "minilm-l6": Shape("bert", 6, 30522, _encoder(384, 12, 1536, 512), _BIASES),
    "modernbert-base": Shape(
        *("modern-bert", 22, 50368),
        _encoder(
            *(768, 12, 1152, 8192),
            attention__sliding_window=128,
            rope__freq_base=160000.0,
            rope__freq_base_swa=10000.0,
        ),
        joined=(*_QKV, "ffn_up"),
        n_tiny_layers=4,
    ),
    "nomic-embed-1.5": Shape(
        *("nomic-bert", 12, 30528),
        _encoder(768, 12, 3072, 2048, rope__freq_base=1000.0),
        ("token_types.weight",),
        joined=_QKV,
    ),
    "nomic-embed-2-moe": Shape(
        *("nomic-bert-moe", 12, 250048),
        _encoder(
            *(768, 12, 3072, 512, 1),
            expert_count=8,
            expert_used_count=2,
            moe_every_n_layers=2,
        ),
        _BIASES,
        joined=_QKV,
    ),
    "jina-2-base": Shape(
        *("jina-bert-v2", 12, 30528),
        _encoder(768, 12, 3072, 8192),
        tuple(name for name in _BIASES if name != "ffn_up.bias"),
        joined=("ffn_up",),
    ),
    "jina-3": Shape(
        *("jina-bert-v3", 24, 250002),
        _encoder(1024, 16, 4096, 8192, 1, rope__freq_base=20000.0),
        _BIASES,
        joined=_QKV,
    ),
    "embeddinggemma-300m": Shape(
        *("gemma-embedding", 24, 262144),
        _both_ways(
            sizes(
                *(768, 3, 1, 256, 1152),
                context_length=2048,
                attention__sliding_window=512,
                rope__freq_base=1e6,
            )
        ),
        n_tiny_layers=6,
    ),
    "eurobert-210m": Shape(
        "eurobert", 12, 128256, _both_ways(sizes(768, 12, 12, 64, 3072))
    ),
    "llama-nemotron-embed-1b": Shape(
        "llama-embed", 16, 128256, _both_ways(sizes(2048, 32, 8, 64, 8192))
    ),
    "lfm2.5-embedding-350m": Shape(
        *("lfm2", 16, 65536),
        _both_ways(
            sizes(
                *(1024, 16, beside_recurrent(8, 2, 5, 8, 10, 12, 14), 64, 4608),
                shortconv__l_cache=3,
                rope__freq_base=1e6,
            ),
            pooling=2,
        ),
        n_tiny_layers=4,
    ),
}
"""Shapes by the names that a command takes."""
