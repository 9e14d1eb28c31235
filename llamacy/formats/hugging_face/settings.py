"""Settings that some families have: windows of attention, and constants."""

from __future__ import annotations

from typing import Final

from llamacy.arguments import MAX_CTX
from llamacy.config import family_rules
from llamacy.config.rules import is_windowed
from llamacy.formats.gguf.limits import MAX_SCALE, MIN_SCALE
from llamacy.formats.hugging_face.common_keys import WHOLE, WINDOWED
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

# Bounds that a GGUF file without them has by its family's default.
_BOUNDS_BY_DEFAULT: Final = {
    "gemma2": ("attn_logit_softcapping", "final_logit_softcapping")
}


def add_settings(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> None:
    """Add the settings that the family has, and refuse all others.

    Raises
    ------
    FormatError
        A value is wrong.
    UnsupportedError
        Layers of another kind, attention to later tokens, or a constant that the family
        is not known to have.
    """
    prefix = family.architecture
    for theirs, ours in family.constants.items():
        if theirs in config:
            value = config.real(theirs, MIN_SCALE, MAX_SCALE)
            metadata.real(f"{prefix}.{ours}", value)
        elif theirs in _BOUNDS_BY_DEFAULT.get(prefix, ()):
            config.refuse(theirs, "a number", None)
    for theirs, ours in family.flags.items():
        metadata.flag(f"{prefix}.{ours}", config.flag(theirs))
    for key, is_wanted in family.fixed_flags.items():
        if config.flag(key) != is_wanted:
            config.refuse(key, is_wanted, not is_wanted)
    for key, wanted in family.fixed.items():
        found = config.real(key, MIN_SCALE, MAX_SCALE, default=wanted)
        if found != wanted:
            config.refuse(key, wanted, found)
    for key in family.refused:
        if key in config:
            config.refuse(key, "none", config.get(key))
    if family.scalar and family.scalar in config:
        scalar = config.real(family.scalar, MIN_SCALE, MAX_SCALE)
        metadata.real(f"{prefix}.attention.scale", scalar**-0.5)
    if "vision_config" in config and family.architecture.startswith("qwen3vl"):
        levels = _n_deepstack(config)
        metadata.integer(f"{prefix}.n_deepstack_layers", levels)
    if family.is_causal and config.flag("use_bidirectional_attention", False):
        config.refuse("use_bidirectional_attention", False, True)
    _check_positions(config, family, sizes)
    _add_window(config, family, sizes, metadata)


def _n_deepstack(config: JsonObject) -> int:
    """Count the layers to whose results those of images are added."""
    images = config.child("vision_config")
    return len(images.items("deepstack_visual_indexes")) if images else 0


def _check_positions(config: JsonObject, family: Family, sizes: Sizes) -> None:
    """Refuse layers without positions other than the family's: GGUF has no key."""
    rules = family_rules(family.architecture)
    key, interval_key = "no_rope_layers", "no_rope_layer_interval"
    period = rules.no_rope_period
    if not period:
        return
    if key not in config:
        interval = config.integer(interval_key, 1, MAX_CTX)
        if interval != period and sizes.n_layer >= min(interval, period):
            config.refuse(interval_key, period, interval)
        return
    wanted = [int(rules.has_positions(layer)) for layer in range(sizes.n_layer)]
    if config.items(key) != wanted:
        config.refuse(key, f"a 0 for every layer number {period}", config.get(key))


def _add_window(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> None:
    """Add the window, and which layers have it unless the family's rule says that."""
    rules = family_rules(family.architecture)
    layers = _windowed_layers(config, sizes)
    if "use_sliding_window" in config:
        layers = _switched_layers(config, family, sizes, layers)
    if "sliding_window" not in config.values or (layers and not any(layers)):
        return
    if "sliding_window" not in config:
        if layers is not None or rules.window_period:
            config.fail("sliding_window", "a number of tokens", "null")
        return
    window = config.integer("sliding_window", 1, MAX_CTX)
    metadata.integer(f"{family.architecture}.attention.sliding_window", window)
    if layers and layers != [rules.has_window(i) for i in range(sizes.n_layer)]:
        key = f"{family.architecture}.attention.sliding_window_pattern"
        metadata.flags(key, layers)


def _switched_layers(
    config: JsonObject, family: Family, sizes: Sizes, layers: list[bool] | None
) -> list[bool]:
    """Return which layers have a window, of a class that must switch it on."""
    if config.flag("use_sliding_window"):
        if layers is not None:
            return layers
        if "sliding_window" not in config:
            return [False] * sizes.n_layer
        return _reached_layers(config, family, sizes)
    # SmolLM3 switches its own rule on, and takes the word of `layer_types` without it
    if layers and any(layers) and not family_rules(family.architecture).no_rope_period:
        config.refuse(
            "use_sliding_window", f"true, as layer_types has {WINDOWED}", False
        )
    return layers or [False] * sizes.n_layer


def _reached_layers(config: JsonObject, family: Family, sizes: Sizes) -> list[bool]:
    """Return which layers a window reaches, by the rule of the class."""
    rules, every = family_rules(family.architecture), range(sizes.n_layer)
    if rules.no_rope_period:
        return [not rules.has_positions(layer) for layer in every]
    if "max_window_layers" not in config.values:
        return [True for _ in every]
    bound = config.integer("max_window_layers", 0, MAX_CTX)
    if family.architecture == "qwen2moe":
        return [layer < bound and layer % 2 == 0 for layer in every]
    return [layer >= bound for layer in every]


def _windowed_layers(config: JsonObject, sizes: Sizes) -> list[bool] | None:
    """Read which layers have a window; None if the file does not say."""
    kinds = config.items("layer_types")
    if kinds and len(kinds) != sizes.n_layer:
        config.fail("layer_types", f"{sizes.n_layer} names", kinds)
    for kind in kinds:
        if kind not in (WINDOWED, WHOLE):
            config.refuse("layer_types", f"{WINDOWED} or {WHOLE}", kind)
    if kinds:
        return [kind == WINDOWED for kind in kinds]
    if "sliding_window_pattern" not in config:
        return None
    period = config.integer("sliding_window_pattern", 1, MAX_CTX)
    n_dense = config.integer("first_k_dense_replace", 0, sizes.n_layer, default=0)
    counted = range(sizes.n_layer - n_dense)
    return [False] * n_dense + [is_windowed(layer, period) for layer in counted]
