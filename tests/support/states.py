"""State specs of attention in small test models."""

from __future__ import annotations

from llamacy.ops.state.specs import KeyValues


def key_values(
    layer: int,
    window: int | None = None,
    *,
    n_head_kv: int = 2,
    head_dim: int = 16,
    is_causal: bool = True,
) -> KeyValues:
    """Return the spec of a layer's keys and values with heads of one size."""
    return KeyValues(layer, n_head_kv, head_dim, head_dim, window, is_causal=is_causal)
