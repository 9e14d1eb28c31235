"""Rotary positions and their scaling, as config.json has them.

Newer files have all in `rope_parameters`; older ones `rope_theta`, and what scales it
in `rope_scaling`. The formulas are those of transformers' `modeling_rope_utils`; what
a GGUF file has for each is as in llama.cpp's converter.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf_config import (
    MAX_CTX,
    MAX_FREQ_BASE,
    MAX_ROPE_SCALE,
    MIN_ROPE_SCALE,
)
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

_KINDS: Final = ("default", "linear", "yarn", "llama3")
_DEFAULT_BASE: Final = 10000.0


def add_rope(
    config: JsonObject, sizes: Sizes, prefix: str, metadata: Metadata
) -> NDArray[np.float32] | None:
    """Add the keys about rotary positions.

    Parameters
    ----------
    prefix : of the keys: the architecture.

    Returns
    -------
    What frequencies are divided by, ``rope_freqs.weight``: float32, (head_dim / 2,).
    None for kinds of scaling that GGUF has keys for.

    Raises
    ------
    FormatError : a value is wrong or missing.
    UnsupportedError : a kind of scaling, or a part of one, that is not known here.
    """
    rope = (
        config.child("rope_scaling")
        or config.child("rope_parameters")
        or JsonObject(config.path, {}, "rope_parameters")
    )
    theta = rope if "rope_theta" in rope else config
    base = theta.real("rope_theta", 1.0001, MAX_FREQ_BASE, _DEFAULT_BASE)
    n_dims = _n_dims(config, rope, sizes.head_dim)
    metadata.integer(f"{prefix}.rope.dimension_count", n_dims)
    metadata.real(f"{prefix}.rope.freq_base", base)
    kind = rope.text("rope_type", rope.text("type", "default"))
    if kind not in _KINDS:
        rope.refuse("rope_type", f"one of {', '.join(_KINDS)}", kind)
    if kind == "default":
        return None
    factor = rope.real("factor", MIN_ROPE_SCALE, MAX_ROPE_SCALE)
    if kind == "llama3":
        n_ctx = _n_ctx_orig(config, rope, sizes)
        return _llama3_divisors(rope, factor, base, n_dims, n_ctx)
    metadata.text(f"{prefix}.rope.scaling.type", kind)
    metadata.real(f"{prefix}.rope.scaling.factor", factor)
    if kind == "yarn":
        n_ctx = _n_ctx_orig(config, rope, sizes)
        metadata.integer(f"{prefix}.rope.scaling.original_context_length", n_ctx)
        _add_yarn(rope, factor, prefix, metadata)
    return None


def _n_dims(config: JsonObject, rope: JsonObject, head_dim: int) -> int:
    """Count the dimensions of a head that are rotated."""
    holder = rope if "partial_rotary_factor" in rope else config
    n_dims = int(holder.real("partial_rotary_factor", 0.0, 1.0, 1.0) * head_dim)
    if n_dims < 2 or n_dims % 2:
        wanted = "an even number of dimensions, at least 2"
        holder.fail("partial_rotary_factor", wanted, f"{n_dims} of {head_dim}")
    return n_dims


def _n_ctx_orig(config: JsonObject, rope: JsonObject, sizes: Sizes) -> int:
    """Tokens of context before the scaling."""
    key = "original_max_position_embeddings"
    holder = config if key in config else rope
    return holder.integer(key, 1, MAX_CTX, default=sizes.n_ctx_train)


def _add_yarn(rope: JsonObject, factor: float, prefix: str, metadata: Metadata) -> None:
    """Add what only YaRN has."""
    if factor < 1:
        rope.fail("factor", "at least 1 for YaRN", factor)
    if not rope.flag("truncate", True):
        rope.refuse("truncate", "true", False)
    prefix = f"{prefix}.rope.scaling"
    for key, default in (("beta_fast", 32.0), ("beta_slow", 1.0)):
        value = rope.real(key, MIN_ROPE_SCALE, MAX_ROPE_SCALE, default)
        if value != default:
            metadata.real(f"{prefix}.yarn_{key}", value)
    # GGUF's attention factor is one more on top of YaRN's own
    magnitude = _magnitude(rope, factor) / _mscale(factor, 1.0)
    if not MIN_ROPE_SCALE <= magnitude <= MAX_ROPE_SCALE:
        wanted = f"{MIN_ROPE_SCALE:g} to {MAX_ROPE_SCALE:g} times YaRN's own"
        rope.fail("attention_factor", wanted, magnitude)
    if magnitude != 1:
        metadata.real(f"{prefix}.attn_factor", magnitude)


def _magnitude(rope: JsonObject, factor: float) -> float:
    """Return the factor on queries and keys."""
    if "attention_factor" in rope:
        return rope.real("attention_factor", MIN_ROPE_SCALE, MAX_ROPE_SCALE)
    mscale = rope.real("mscale", 0.0, MAX_ROPE_SCALE, 0.0)
    all_dim = rope.real("mscale_all_dim", 0.0, MAX_ROPE_SCALE, 0.0)
    if mscale and all_dim:
        return _mscale(factor, mscale) / _mscale(factor, all_dim)
    return _mscale(factor, 1.0)


def _mscale(factor: float, mscale: float) -> float:
    return 0.1 * mscale * math.log(factor) + 1.0


def _llama3_divisors(
    rope: JsonObject, factor: float, base: float, n_dims: int, n_ctx_orig: int
) -> NDArray[np.float32]:
    """Compute what Llama 3.1 divides each frequency by, from 1 to `factor`."""
    low = rope.real("low_freq_factor", MIN_ROPE_SCALE, MAX_ROPE_SCALE)
    high = rope.real("high_freq_factor", MIN_ROPE_SCALE, MAX_ROPE_SCALE)
    if high <= low:
        rope.fail("high_freq_factor", f"more than low_freq_factor, {low}", high)
    pair = np.arange(0, n_dims, 2, dtype=np.float64)
    turns = n_ctx_orig * base ** (-pair / n_dims) / (2 * np.pi)  # in that context
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - kept) / factor + kept)).astype(np.float32)
