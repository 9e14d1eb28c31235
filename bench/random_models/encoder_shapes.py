"""The shapes of encoders, which embed texts and write none."""

from __future__ import annotations

from typing import Any, Final

from random_models.shape import Shape
from random_models.shapes import sizes

_QKV: Final = ("attn_qkv",)
_BIASES: Final = (
    *("attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias"),
    *("ffn_up.bias", "ffn_down.bias", "token_types.weight"),
)


def _encoder(
    n_embd: int, n_head: int, n_ff: int, n_ctx: int, n_types: int = 2, **more: Any
) -> dict[str, Any]:
    """Return the keys of an encoder."""
    keys = sizes(n_embd, n_head, n_head, n_embd // n_head, n_ff, context_length=n_ctx)
    return {
        **keys,
        **{f".{key.replace('__', '.')}": value for key, value in more.items()},
        ".pooling_type": 1,
        ".attention.causal": False,
        "tokenizer.ggml.token_type_count": n_types,
    }


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
}
"""Shapes by the names that a command takes."""
