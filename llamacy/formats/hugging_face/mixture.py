"""Sizes and rules of a mixture of experts, as config.json has them."""

from __future__ import annotations

from typing import NamedTuple

from llamacy.config import family_rules
from llamacy.formats.gguf.limits import MAX_EXPERTS, MAX_FF
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata


class ExpertSizes(NamedTuple):
    """Experts of a layer, and the width of each layer's.

    Attributes
    ----------
    n_expert : int
        Experts of every layer.
    n_ff : tuple of int
        Width of one expert of each layer.
    """

    n_expert: int
    n_ff: tuple[int, ...]


def add_experts(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> ExpertSizes | None:
    """Add the keys about experts; return their sizes, None if there are none.

    Raises
    ------
    FormatError
        A size is missing, or out of range.
    UnsupportedError
        Some layers have no experts.
    """
    mixture, prefix = family.mixture, family.architecture
    if mixture is None:
        return None
    if mixture.switch and not config.flag(mixture.switch):
        return None
    _check_layers(config)
    key = "num_experts" if "num_experts" in config.values else "num_local_experts"
    n_expert = config.integer(key, 1, MAX_EXPERTS)
    n_used = config.integer("num_experts_per_tok", 1, n_expert)
    metadata.integer(f"{prefix}.expert_count", n_expert)
    metadata.integer(f"{prefix}.expert_used_count", n_used)
    n_ff = sizes.n_ff
    if mixture.width:
        width = config.integer(mixture.width, 1, MAX_FF)
        metadata.integer(f"{prefix}.expert_feed_forward_length", width)
        n_ff = (width,) * sizes.n_layer
    if mixture.shared_width:
        width = config.integer(mixture.shared_width, 1, MAX_FF)
        metadata.integer(f"{prefix}.expert_shared_feed_forward_length", width)
    if mixture.normalized:
        is_normalized = config.flag(mixture.normalized, False)
        if is_normalized != family_rules(prefix).is_normalized:
            metadata.flag(f"{prefix}.expert_weights_norm", is_normalized)
    return ExpertSizes(n_expert, n_ff)


def _check_layers(config: JsonObject) -> None:
    """Refuse a model in which some layers are dense."""
    step = config.integer("decoder_sparse_step", 0, 1 << 30, default=1)
    if step != 1:
        config.refuse("decoder_sparse_step", "1, experts in each layer", step)
    dense = config.items("mlp_only_layers")
    if dense:
        config.refuse("mlp_only_layers", "none, experts in each layer", dense)
