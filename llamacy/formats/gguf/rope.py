"""Rotary positions, as the metadata of a GGUF file describe them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from llamacy.arguments import MAX_CTX
from llamacy.config import FamilyRules, RopeConfig
from llamacy.formats.gguf.keys import Keys
from llamacy.formats.gguf.latent import LOG_MULTIPLIER, RANK
from llamacy.formats.gguf.limits import MAX_FREQ_BASE, MAX_SCALE, MIN_SCALE

DYNAMIC_FACTOR: Final = ".rope.scaling.dynamic_factor"
"""A key of llamacy's own: GGUF has none for scaling by the length of the text."""

_SCALINGS: Final = ("none", "linear", "yarn", "longrope")


def read_rope(
    keys: Keys, rules: FamilyRules, head_dim: int, n_ctx_train: int
) -> RopeConfig:
    """Read the position embedding of a model's layers without a window.

    Parameters
    ----------
    keys : Keys
        The file's metadata.
    rules : FamilyRules
        The family's rules.
    head_dim : int
        Dimensions of a head, the largest of all layers.
    n_ctx_train : int
        Tokens of context the model was made for.

    Raises
    ------
    FormatError
        A value is of another type or out of range.
    UnsupportedError
        An unknown kind of scaling.
    """
    scaling = keys.text(".rope.scaling.type", default="linear")
    if scaling not in _SCALINGS:
        keys.refuse(".rope.scaling.type", f"one of {', '.join(_SCALINGS)}", scaling)
    factor = _factor(keys)
    if scaling == "none" or (scaling == "linear" and factor == 1):
        scaling, factor = "none", 1.0
    if DYNAMIC_FACTOR in keys:
        if scaling != "none":
            keys.refuse(DYNAMIC_FACTOR, f"no scaling of the kind {scaling}", "both")
        scaling, factor = "dynamic", keys.scale(DYNAMIC_FACTOR)
    ext_factor = 0.0
    if scaling == "yarn":
        if factor < 1:
            keys.fail(".rope.scaling.factor", "at least 1 for YaRN", factor)
        ext_factor = keys.share(".rope.scaling.yarn_ext_factor", default=1.0)
    attn_factor = keys.scale(".rope.scaling.attn_factor")
    if ext_factor == 0:  # llama.cpp replaces this one where YaRN extrapolates
        attn_factor *= keys.scale(".rope.scaling.yarn_attn_factor")
    else:
        attn_factor /= _log_factor(keys, rules, factor)
    key = ".rope.scaling.original_context_length"
    n_ctx_orig = keys.integer(key, 0, MAX_CTX, default=0) or n_ctx_train
    local = ".rope.freq_base_swa"
    return RopeConfig(
        n_dims=read_n_dims(keys, head_dim),
        freq_base=_freq_base(keys, ".rope.freq_base"),
        scaling=scaling,
        factor=factor,
        n_ctx_orig=n_ctx_train if scaling == "dynamic" else n_ctx_orig,
        attn_factor=attn_factor,
        ext_factor=ext_factor,
        beta_fast=keys.scale(".rope.scaling.yarn_beta_fast", default=32.0),
        beta_slow=keys.scale(".rope.scaling.yarn_beta_slow"),
        local_freq_base=_freq_base(keys, local) if local in keys else None,
        is_finetuned=keys.flag(".rope.scaling.finetuned", True),
        is_range_rounded=rules.is_range_rounded,
        query_growth=_query_growth(keys, rules, head_dim, n_ctx_orig),
        has_sections=_has_sections(keys),
    )


def _log_factor(keys: Keys, rules: FamilyRules, factor: float) -> float:
    """Return what divides the magnitude of YaRN, as in DeepSeek's settings.

    With latent attention it multiplies scores, and the magnitude is 1.
    """
    multiplier = keys.real(
        LOG_MULTIPLIER, most=MAX_SCALE, default=0.0, is_zero_allowed=True
    )
    if RANK in rules.keys and multiplier:
        multiplier = 1.0
    return 1 + 0.1 * multiplier * math.log(factor)


def _query_growth(
    keys: Keys, rules: FamilyRules, head_dim: int, n_ctx_orig: int
) -> float:
    """Read how queries grow with their positions, which rotations multiply in.

    With latent attention, where a part of each head is rotated, the other part grows by
    itself, and files say from which context on.
    """
    growth = keys.constant(".attention.temperature_scale") or 0.0
    if growth and RANK in rules.keys:
        key = ".attention.temperature_length"
        if (length := keys.integer(key, 1, MAX_CTX)) != n_ctx_orig:
            keys.refuse(key, f"{n_ctx_orig}, the context before scaling", length)
    elif growth and (n_dims := read_n_dims(keys, head_dim)) != head_dim:
        wanted = f"{head_dim} beside attention.temperature_scale"
        keys.refuse(".rope.dimension_count", wanted, n_dims)
    return growth


def _has_sections(keys: Keys) -> bool:
    """Read whether rotations have sections for images."""
    found = keys.metadata.get(keys.full(".rope.dimension_sections"))
    return isinstance(found, np.ndarray) and bool((found != 0).any())


def read_n_dims(keys: Keys, head_dim: int, has_window: bool = False) -> int:
    """Read how many dimensions of a layer's heads are rotated.

    Parameters
    ----------
    keys : Keys
        The file's metadata.
    head_dim : int
        Dimensions of the layer's heads, all of which are rotated by default.
    has_window : bool
        Whether the layer has a window, for which files may have a key of its own.
    """
    key = ".rope.dimension_count"
    if has_window and f"{key}_swa" in keys:
        key += "_swa"
    n_dims = keys.integer(key, 2, head_dim, default=head_dim)
    if n_dims % 2:
        keys.fail(key, "an even number", n_dims)
    return n_dims


def _freq_base(keys: Keys, key: str) -> float:
    freq_base = keys.real(key, most=MAX_FREQ_BASE, default=10000.0)
    if freq_base <= 1:
        keys.fail(key, "more than 1", freq_base)
    return freq_base


def _factor(keys: Keys) -> float:
    """Read the newer key, or else the older one; 0 means that there is no scaling."""
    for key in (".rope.scaling.factor", ".rope.scale_linear"):
        if key in keys:
            found = keys.real(
                key, most=MAX_SCALE, least=MIN_SCALE, is_zero_allowed=True
            )
            return found or 1.0
    return 1.0
