"""Sizes and rules of a mixture of experts, as config.json has them."""

from __future__ import annotations

from typing import NamedTuple

from llamacy.formats.gguf.config import MAX_EXPERTS, MAX_FF
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata


class ExpertSizes(NamedTuple):
    """Experts of a layer, and the width of one."""

    n_expert: int
    n_ff: int


def add_experts(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> ExpertSizes | None:
    """Add the keys about experts; return their sizes, None if the family has none.

    Raises
    ------
    FormatError : a size is missing, or out of range.
    UnsupportedError : some layers have no experts.
    """
    mixture, prefix = family.mixture, family.architecture
    if mixture is None:
        return None
    _check_layers(config)
    # either name, whatever the family: transformers itself changed its mind
    key = "num_experts" if "num_experts" in config else "num_local_experts"
    n_expert = config.integer(key, 1, MAX_EXPERTS)
    n_used = config.integer("num_experts_per_tok", 1, n_expert)
    metadata.integer(f"{prefix}.expert_count", n_expert)
    metadata.integer(f"{prefix}.expert_used_count", n_used)
    n_ff = sizes.n_ff
    if mixture.width:
        n_ff = config.integer(mixture.width, 1, MAX_FF)
        metadata.integer(f"{prefix}.expert_feed_forward_length", n_ff)
    if mixture.shared_width:
        width = config.integer(mixture.shared_width, 1, MAX_FF)
        metadata.integer(f"{prefix}.expert_shared_feed_forward_length", width)
    if mixture.is_normalized is not None:
        is_normalized = config.flag("norm_topk_prob", False)
        if is_normalized != mixture.is_normalized:
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
