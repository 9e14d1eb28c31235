"""Settings that some families have: windows of attention, and constants."""

from __future__ import annotations

from typing import Final

from llamacy.arguments import MAX_CTX
from llamacy.config import family_rules
from llamacy.config.rules import is_windowed
from llamacy.formats.gguf.limits import MAX_SCALE, MIN_SCALE
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

_WINDOWED: Final = "sliding_attention"
_WHOLE: Final = "full_attention"


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
    if config.flag("use_bidirectional_attention", False):
        config.refuse("use_bidirectional_attention", False, True)
    _check_positions(config, family, sizes)
    _add_window(config, family, sizes, metadata)


def _check_positions(config: JsonObject, family: Family, sizes: Sizes) -> None:
    """Refuse layers without positions other than the family's: GGUF has no key."""
    rules, key = family_rules(family.architecture), "no_rope_layers"
    if not rules.no_rope_period or key not in config:
        return
    wanted = [int(rules.has_positions(layer)) for layer in range(sizes.n_layer)]
    if config.items(key) != wanted:
        period = rules.no_rope_period
        config.refuse(key, f"a 0 for every layer number {period}", config.get(key))


def _add_window(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> None:
    """Add the window, and which layers have it unless the family's rule says that."""
    rules = family_rules(family.architecture)
    layers = _windowed_layers(config, sizes)
    if rules.window_period is None:
        if config.flag("use_sliding_window", False) or (layers and any(layers)):
            config.refuse("use_sliding_window", False, True)
        return
    if "sliding_window" not in config or (layers and not any(layers)):
        return
    window = config.integer("sliding_window", 1, MAX_CTX)
    metadata.integer(f"{family.architecture}.attention.sliding_window", window)
    if layers and layers != [rules.has_window(i) for i in range(sizes.n_layer)]:
        key = f"{family.architecture}.attention.sliding_window_pattern"
        metadata.flags(key, layers)


def _windowed_layers(config: JsonObject, sizes: Sizes) -> list[bool] | None:
    """Read which layers have a window; None if the file does not say."""
    kinds = config.items("layer_types")
    if kinds and len(kinds) != sizes.n_layer:
        config.fail("layer_types", f"{sizes.n_layer} names", kinds)
    for kind in kinds:
        if kind not in (_WINDOWED, _WHOLE):
            config.refuse("layer_types", f"{_WINDOWED} or {_WHOLE}", kind)
    if kinds:
        return [kind == _WINDOWED for kind in kinds]
    if "sliding_window_pattern" not in config:
        return None
    period = config.integer("sliding_window_pattern", 1, MAX_CTX)
    return [is_windowed(layer, period) for layer in range(sizes.n_layer)]
