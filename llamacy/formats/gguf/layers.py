"""The layers of a model in a GGUF file, told apart by the file or else by its family.

A key holds one number for all layers, or an array of one a layer. Sizes of layers with
a window may have keys of their own, which end in `_swa`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, NamedTuple

from llamacy.arguments import MAX_CTX
from llamacy.config import (
    AttentionAndScanConfig,
    AttentionConfig,
    FamilyRules,
    FeedForwardConfig,
    LayerConfig,
    Mixer,
    ModelConfig,
    RopeConfig,
    ShortConvConfig,
)
from llamacy.formats.gguf.experts import experts_of_layers
from llamacy.formats.gguf.keys import Keys
from llamacy.formats.gguf.latent import LatentSizes, with_latent
from llamacy.formats.gguf.limits import (
    MAX_FF,
    MAX_HEAD_DIM,
    MAX_HEADS,
    MAX_LAYERS,
)
from llamacy.formats.gguf.recurrent import (
    read_recurrence,
    read_recurrent_layers,
    read_scan,
)
from llamacy.formats.gguf.rope import DYNAMIC_FACTOR, read_n_dims
from llamacy.formats.gguf.shared_keys import with_shared

_ALIBI: Final = ".attention.max_alibi_bias"
# layers that may see what comes after a row
_BOTH_WAYS: Final = (AttentionConfig, ShortConvConfig)


class Windows(NamedTuple):
    """Which layers attend to a window.

    Attributes
    ----------
    window : int or None
        The window that the file names.
    windowed_layers : tuple of bool or None
        The layers that have it, if the file says.
    of_layers : tuple of (int or None)
        Each layer's window, None for layers that attend to all tokens.
    """

    window: int | None
    windowed_layers: tuple[bool, ...] | None
    of_layers: tuple[int | None, ...]


class LayerSizes(NamedTuple):
    """Sizes of one layer; the names are those of its configuration."""

    n_head: int
    n_head_kv: int
    head_dim: int
    value_dim: int
    n_ff: int


def read_windows(keys: Keys, n_layer: int, rules: FamilyRules) -> Windows:
    """Read which layers have a window: each by itself, or all but every n-th.

    Raises
    ------
    FormatError
        A value is of another type or out of range, or an array has another length.
    """
    of_file = keys.integer(".attention.sliding_window", 0, MAX_CTX, default=0) or None
    windowed: tuple[bool, ...] | None = None
    key = ".attention.sliding_window_pattern"
    if key in keys and (windowed := keys.flags(key, n_layer)) is None:
        period = keys.integer(key, 0, MAX_LAYERS)
        windowed = tuple(rules.is_windowed(layer, period) for layer in range(n_layer))
    if windowed is None and rules.window_period is None:
        return Windows(of_file, windowed, (None,) * n_layer)
    window = of_file or rules.window
    have_window = windowed or map(rules.has_window, range(n_layer))
    return Windows(
        of_file, windowed, tuple(window if has else None for has in have_window)
    )


def read_sizes(
    keys: Keys,
    n_embd: int,
    rules: FamilyRules,
    windows: tuple[int | None, ...],
    latent: LatentSizes | None,
) -> list[LayerSizes]:
    """Read the sizes of each layer, of which `windows` has its window.

    A recurrent layer has no heads of keys and values; with latent attention there is
    one of keys.

    Raises
    ------
    FormatError
        A size is missing, out of range, or does not go with another.
    UnsupportedError
        A layer without attention, or without a feed-forward network.
    """
    n_layer = len(windows)
    if rules.scan == "only":
        return [LayerSizes(0, 0, 0, 0, 0)] * n_layer
    kv, key_length = ".attention.head_count_kv", ".attention.key_length"
    part = "attention"
    n_head = keys.per_layer(".attention.head_count", n_layer, MAX_HEADS, lacked=part)
    may_lack = rules.has_recurrent_layers
    n_head_kv = keys.per_layer(
        kv, n_layer, MAX_HEADS, n_head, lacked=part, may_lack=may_lack
    )
    are_recurrent = read_recurrent_layers(keys, n_layer, rules)
    n_head_kv = tuple(
        0 if is_recurrent else number
        for is_recurrent, number in zip(are_recurrent, n_head_kv, strict=True)
    )
    for of_queries, of_keys in zip(n_head, n_head_kv, strict=True):
        if of_keys and of_queries % of_keys:
            keys.fail(kv, f"a divisor of {of_queries}", of_keys)
    if key_length not in keys and n_embd % n_head[0]:
        keys.fail(".attention.head_count", f"a divisor of {n_embd}", n_head[0])
    default = n_embd // n_head[0]
    head_dim = _per_head(keys, key_length, windows, default)
    value_dim = _per_head(keys, ".attention.value_length", windows, default)
    part, width = "a feed-forward network", ".feed_forward_length"
    if width not in keys and ".expert_feed_forward_length" in keys:
        width = ".expert_feed_forward_length"  # no layer is dense
    may_lack = rules.scan == "alone"
    n_ff = keys.per_layer(width, n_layer, MAX_FF, lacked=part, may_lack=may_lack)
    if may_lack:
        _check_single_parts(keys, n_head_kv, n_ff)
    if latent is not None:
        n_head_kv = tuple(min(1, each) for each in n_head_kv)
        head_dim = [latent.n_latent + latent.n_rotated] * n_layer
        value_dim = [latent.n_latent] * n_layer
    return list(map(LayerSizes, n_head, n_head_kv, head_dim, value_dim, n_ff))


def _check_single_parts(
    keys: Keys, n_head_kv: tuple[int, ...], n_ff: tuple[int, ...]
) -> None:
    for layer, (n_heads, width) in enumerate(zip(n_head_kv, n_ff, strict=True)):
        if n_heads and width:
            wanted = "0 in layers that attend"
            keys.fail(".feed_forward_length", wanted, f"{width} in layer {layer}")


def _per_head(
    keys: Keys, key: str, windows: tuple[int | None, ...], default: int
) -> list[int]:
    """Read a size of each layer's heads; a key of their own goes for windowed ones."""
    n_layer = len(windows)
    sizes = keys.per_layer(key, n_layer, MAX_HEAD_DIM, (default,) * n_layer)
    windowed = keys.per_layer(f"{key}_swa", n_layer, MAX_HEAD_DIM, sizes)
    return [
        sizes[layer] if window is None else windowed[layer]
        for layer, window in enumerate(windows)
    ]


def read_layers(
    keys: Keys,
    config: ModelConfig,
    rules: FamilyRules,
    sizes: list[LayerSizes],
    windows: tuple[int | None, ...],
    latent: LatentSizes | None,
) -> tuple[LayerConfig, ...]:
    """Put the layers together.

    Parameters
    ----------
    keys : Keys
        The file's metadata.
    config : ModelConfig
        The file's configuration of all layers.
    rules : FamilyRules
        The family's rules.
    sizes : list of LayerSizes
        Each layer's sizes.
    windows : tuple of (int or None)
        Each layer's window.
    latent : LatentSizes or None
        Sizes of latent attention, if that is what layers have.

    Raises
    ------
    FormatError
        A layer cannot rotate the number of dimensions that the file says.
    UnsupportedError
        Layers rotate different numbers of dimensions, scaled by the length of the text.
    """
    layers = []
    have_rope = keys.flags(".attention.rope_pattern", len(sizes))
    constants = [keys.reals_per_layer(key, len(sizes)) for key in rules.constants]
    experts = experts_of_layers(keys, config, rules, [each.n_ff for each in sizes])
    for layer, (each, window) in enumerate(zip(sizes, windows, strict=True)):
        n_ff = each.n_ff
        mixer: Mixer | None = None
        if each.n_head_kv:
            has_rope = rules.has_positions(layer, window is not None)
            if have_rope is not None:
                has_rope = have_rope[layer]
            mixer = _attention(
                keys, config, rules, each, (layer, window, has_rope), latent
            )
        elif not n_ff or rules.scan != "alone":
            mixer = read_recurrence(keys, rules, each.n_head, config.is_causal)
        network = FeedForwardConfig(
            n_ff,
            experts=experts[layer],
            constants=tuple(each[layer] for each in constants),
        )
        if not config.is_causal and type(mixer) not in _BOTH_WAYS:
            keys.refuse(".attention.causal", "true for such layers", False)
        layers.append(LayerConfig(mixer, network))
    return with_shared(keys, rules, layers)


def _attention(
    keys: Keys,
    config: ModelConfig,
    rules: FamilyRules,
    sizes: LayerSizes,
    place: tuple[int, int | None, bool],
    latent: LatentSizes | None,
) -> Mixer:
    """Put together the attention of a layer.

    `place` is the layer's number, its window, and whether it has positions.
    """
    layer, window, has_rope = place
    n_head, n_head_kv, head_dim, value_dim, _ = sizes
    n_dims = read_n_dims(keys, head_dim, window is not None)
    rope = _rope(config.rope, rules, window, n_dims)
    if rope.scaling == "dynamic" and n_dims != config.rope.n_dims:
        wanted = f"{config.rope.n_dims} dimensions in each layer"
        keys.refuse(DYNAMIC_FACTOR, wanted, f"{n_dims} in layer {layer}")
    mixer = AttentionConfig(
        n_head,
        n_head_kv,
        head_dim,
        value_dim,
        scale=config.attention_scale or 1 / math.sqrt(head_dim),
        window=window,
        rope=rope if has_rope else None,
        is_causal=config.is_causal,
        alibi_bias=keys.constant(_ALIBI) or rules.alibi_bias,
    )
    if latent is not None:
        return with_latent(keys, mixer, latent, rope)
    if rules.scan != "beside":
        return mixer
    return mixer.extended(AttentionAndScanConfig, scan=read_scan(keys))


def _rope(
    rope: RopeConfig, rules: FamilyRules, window: int | None, n_dims: int
) -> RopeConfig:
    """Derive a layer's rotations from those that the file describes."""
    if rules.has_local_rope and window is not None:
        base = rope.local_freq_base or rules.local_freq_base or rope.freq_base
        return RopeConfig(n_dims, base, has_factors=False)
    if n_dims != rope.n_dims:  # the factors are for another number of frequencies
        return replace(rope, n_dims=n_dims, has_factors=False)
    return rope
