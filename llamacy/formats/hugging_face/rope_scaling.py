"""Ways to scale rotary positions for longer texts, as config.json has them.

The formulas are those of `modeling_rope_utils` in transformers.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.arguments import MAX_CTX
from llamacy.config import family_rules
from llamacy.formats.gguf.limits import MAX_SCALE, MIN_SCALE
from llamacy.formats.hugging_face import latent
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

Divisors: TypeAlias = dict[str, NDArray[np.float32]]
"""Tensors by name that divide the frequencies: float32, (n_dims / 2,)."""

_KINDS: Final = ("default", "linear", "yarn", "llama3", "dynamic")
_LONGROPE: Final = ("longrope", "su")  # two names of one kind


class Rotations(NamedTuple):
    """Rotary positions before their scaling.

    Attributes
    ----------
    settings : JsonObject
        The object about them in config.json.
    kind : str
        The kind of scaling.
    n_dims : int
        Dimensions of a head that are rotated.
    base : float
        The base of their frequencies.
    """

    settings: JsonObject
    kind: str
    n_dims: int
    base: float


def add_scaling(
    config: JsonObject,
    rotations: Rotations,
    family: Family,
    sizes: Sizes,
    metadata: Metadata,
) -> Divisors:
    """Add the keys about a scaling; return the tensors about it, if any.

    Raises
    ------
    FormatError
        A value is wrong or missing.
    UnsupportedError
        An unknown kind of scaling, or an unknown part of one.
    """
    rope, kind = rotations.settings, rotations.kind
    prefix = f"{family.architecture}.rope"
    if kind in _LONGROPE and family.has_longrope:
        return _add_longrope(config, rotations, family, sizes, metadata)
    if kind not in _KINDS:
        rope.refuse("rope_type", f"one of {', '.join(_KINDS)}", kind)
    if kind == "default":
        return {}
    factor = rope.real("factor", MIN_SCALE, MAX_SCALE)
    if kind == "dynamic":
        if "alpha" in rope:
            rope.refuse("alpha", "none", rope.get("alpha"))
        metadata.real(f"{prefix}.scaling.dynamic_factor", factor)
        return {}
    if kind == "llama3":
        n_ctx = _n_ctx_orig(config, rope, sizes)
        return {"rope_freqs.weight": _llama3_divisors(rotations, factor, n_ctx)}
    metadata.text(f"{prefix}.scaling.type", kind)
    metadata.real(f"{prefix}.scaling.factor", factor)
    if kind == "yarn":
        n_ctx = _n_ctx_orig(config, rope, sizes)
        metadata.integer(f"{prefix}.scaling.original_context_length", n_ctx)
        _add_yarn(rope, family, factor, prefix, metadata)
        if family.query_growth in rope and family.architecture in latent.ALIKE:
            key = f"{family.architecture}.attention.temperature_length"
            metadata.integer(key, n_ctx)
    return {}


def _n_ctx_orig(config: JsonObject, rope: JsonObject, sizes: Sizes) -> int:
    """Return the tokens of context before the scaling."""
    key = "original_max_position_embeddings"
    holder = config if key in config else rope
    return holder.integer(key, 1, MAX_CTX, default=sizes.n_ctx_train)


def _add_yarn(
    rope: JsonObject, family: Family, factor: float, prefix: str, metadata: Metadata
) -> None:
    """Add the keys that only YaRN has."""
    if factor < 1:
        rope.fail("factor", "at least 1 for YaRN", factor)
    usual = family_rules(family.architecture).is_range_rounded
    is_rounded = rope.flag("truncate", True)
    if is_rounded != usual:
        rope.refuse("truncate", usual, is_rounded)
    for key, default in (("beta_fast", 32.0), ("beta_slow", 1.0)):
        value = rope.real(key, MIN_SCALE, MAX_SCALE, default)
        if value != default:
            metadata.real(f"{prefix}.scaling.yarn_{key}", value)
    # GGUF's attention factor is one more on top of YaRN's own
    magnitude = _yarn_magnitude(rope, factor)
    all_dim = rope.real("mscale_all_dim", 0.0, MAX_SCALE, 0.0)
    if family.architecture in latent.ALIKE and all_dim:
        # of scores; llama.cpp's converter writes the tenth, and it has no magnitude
        metadata.real(f"{prefix}.scaling.yarn_log_multiplier", all_dim / 10)
    else:
        magnitude /= _mscale(factor, 1.0)
    if not MIN_SCALE <= magnitude <= MAX_SCALE:
        wanted = f"{MIN_SCALE:g} to {MAX_SCALE:g} times YaRN's own"
        rope.fail("attention_factor", wanted, magnitude)
    if magnitude != 1:
        metadata.real(f"{prefix}.scaling.attn_factor", magnitude)


def _yarn_magnitude(rope: JsonObject, factor: float) -> float:
    """Return the factor on queries and keys."""
    if "attention_factor" in rope:
        return rope.real("attention_factor", MIN_SCALE, MAX_SCALE)
    mscale = rope.real("mscale", 0.0, MAX_SCALE, 0.0)
    all_dim = rope.real("mscale_all_dim", 0.0, MAX_SCALE, 0.0)
    if mscale and all_dim:
        return _mscale(factor, mscale) / _mscale(factor, all_dim)
    return _mscale(factor, 1.0)


def _mscale(factor: float, mscale: float) -> float:
    return 0.1 * mscale * math.log(factor) + 1.0


def _llama3_divisors(
    rotations: Rotations, factor: float, n_ctx_orig: int
) -> NDArray[np.float32]:
    """Compute Llama 3.1's divisor of each frequency, from 1 to `factor`."""
    rope, _, n_dims, base = rotations
    low = rope.real("low_freq_factor", MIN_SCALE, MAX_SCALE)
    high = rope.real("high_freq_factor", MIN_SCALE, MAX_SCALE)
    if high <= low:
        rope.fail("high_freq_factor", f"more than low_freq_factor, {low}", high)
    pair = np.arange(0, n_dims, 2, dtype=np.float64)
    turns = n_ctx_orig * base ** (-pair / n_dims) / (2 * np.pi)  # in that context
    kept = np.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - kept) / factor + kept)).astype(np.float32)


def _add_longrope(
    config: JsonObject,
    rotations: Rotations,
    family: Family,
    sizes: Sizes,
    metadata: Metadata,
) -> Divisors:
    """Add the context of the first training, and the magnitude of rotated vectors."""
    rope, n_pairs = rotations.settings, rotations.n_dims // 2
    prefix = f"{family.architecture}.rope"
    n_ctx_orig = _n_ctx_orig(config, rope, sizes)
    metadata.text(f"{prefix}.scaling.type", "longrope")
    metadata.integer(f"{prefix}.scaling.original_context_length", n_ctx_orig)
    magnitude = _long_magnitude(rope, family, sizes.n_ctx_train, n_ctx_orig)
    metadata.real(f"{prefix}.scaling.attn_factor", magnitude)
    return {
        f"rope_factors_{length}.weight": _factors(rope, f"{length}_factor", n_pairs)
        for length in ("long", "short")
    }


def _long_magnitude(
    rope: JsonObject, family: Family, n_ctx: int, n_ctx_orig: int
) -> float:
    """Return the factor on queries and keys of LongRoPE."""
    if family.magnitudes:
        short, long = (
            rope.real(key, MIN_SCALE, MAX_SCALE) for key in family.magnitudes
        )
        if short != long:
            rope.refuse(family.magnitudes[1], f"{short}, as in short texts", long)
        return short
    magnitude = 1.0
    factor = rope.real("factor", MIN_SCALE, MAX_SCALE, default=n_ctx / n_ctx_orig)
    if factor > 1 and n_ctx_orig > 1:
        magnitude = math.sqrt(1 + math.log(factor) / math.log(n_ctx_orig))
    return rope.real("attention_factor", MIN_SCALE, MAX_SCALE, default=magnitude)


def _factors(rope: JsonObject, key: str, n: int) -> NDArray[np.float32]:
    found = rope.items(key)
    is_sound = len(found) == n and all(
        type(each) in (int, float) and MIN_SCALE <= each <= MAX_SCALE for each in found
    )
    if not is_sound:
        wanted = f"{n} numbers from {MIN_SCALE:g} to {MAX_SCALE:g}"
        rope.fail(key, wanted, found)
    return np.array(found, np.float32)
