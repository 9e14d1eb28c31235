"""Sizes and rules of a mixture of experts, as config.json has them."""

from __future__ import annotations

from typing import Final, NamedTuple

from llamacy.config import family_rules
from llamacy.formats.gguf.limits import (
    MAX_EMBD,
    MAX_EXPERTS,
    MAX_FF,
    MAX_LAYERS,
    MAX_SCALE,
    MIN_SCALE,
)
from llamacy.formats.hugging_face.family import Family, Mixture
from llamacy.formats.hugging_face.sizes import Sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

_OF_NETWORK: Final = ("ffn_gate", "ffn_up", "ffn_down")
_OF_EXPERTS: Final = (
    *("ffn_gate_inp", "exp_probs_b", "ffn_gate_inp_shexp"),
    *("ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"),
    *("ffn_latent_down", "ffn_latent_up"),
)
_SIGMOID: Final = 2  # in `expert_gating_func`
_LEAST_SUM: Final = 1e-6  # of the chosen experts' weights; practically none is less
_N_SPARSE: Final = 2  # experts that a sparse mixer chooses


class ExpertSizes(NamedTuple):
    """Experts of a layer, and the width of each layer's.

    Attributes
    ----------
    n_expert : int
        Experts of every layer.
    n_ff : tuple of int
        Width of one expert of each layer.
    are_sparse : tuple of bool
        Whether each layer has experts.
    n_latent : int
        Width of rows as experts read and make them; 0 for rows as they are.
    has_network : bool
        Whether layers have a network beside their experts.
    """

    n_expert: int
    n_ff: tuple[int, ...]
    are_sparse: tuple[bool, ...]
    n_latent: int
    has_network: bool

    def have_part(self, part: str, layer: int) -> bool:
        """Whether a layer may have a part that is a network's, or that of experts."""
        if not self.are_sparse[layer]:
            return part not in _OF_EXPERTS
        return self.has_network or part not in _OF_NETWORK


def add_experts(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> ExpertSizes | None:
    """Add the keys about experts; return their sizes, None if there are none.

    Raises
    ------
    FormatError
        A size is missing, or out of range.
    UnsupportedError
        Layers after the first have no experts, or gates are made in an unknown way.
    """
    mixture, prefix = family.mixture, family.architecture
    if mixture is None:
        return None
    if mixture.switch and not config.flag(mixture.switch):
        return None
    _check_layers(config, sizes)
    _check_least_sum(config)
    key = "num_experts" if "num_experts" in config.values else "num_local_experts"
    n_expert = config.integer(key, 1, MAX_EXPERTS)
    n_used = config.integer("num_experts_per_tok", 1, n_expert)
    metadata.integer(f"{prefix}.expert_count", n_expert)
    are_sparse = _are_sparse(config, prefix, sizes, metadata)
    _add_n_used(n_used, prefix, sizes, are_sparse, metadata)
    n_ff = sizes.n_ff
    if mixture.width:
        width = config.integer(mixture.width, 1, MAX_FF)
        metadata.integer(f"{prefix}.expert_feed_forward_length", width)
        n_ff = (width,) * sizes.n_layer
    if mixture.shared_width:
        is_optional = "has_shared_expert" in config.values
        width = config.integer(mixture.shared_width, int(not is_optional), MAX_FF, 0)
        if width:
            metadata.integer(f"{prefix}.expert_shared_feed_forward_length", width)
    n_latent = 0
    if mixture.latent_width and mixture.latent_width in config:
        n_latent = config.integer(mixture.latent_width, 1, MAX_EMBD)
        metadata.integer(f"{prefix}.moe_latent_size", n_latent)
    if mixture.normalized:
        is_normalized = config.flag(mixture.normalized, False)
        if mixture.gating and _is_of_chosen(config, mixture, prefix, metadata):
            is_normalized = True
        if is_normalized != family_rules(prefix).is_normalized:
            metadata.flag(f"{prefix}.expert_weights_norm", is_normalized)
    if mixture.scale:
        scale = config.real(mixture.scale, MIN_SCALE, MAX_SCALE)
        metadata.real(f"{prefix}.expert_weights_scale", scale)
    if mixture.jitter:
        if n_used != _N_SPARSE:  # transformers takes as many, whatever the key says
            config.refuse("num_experts_per_tok", _N_SPARSE, n_used)
        jitter = config.real(mixture.jitter, 0.0, MAX_SCALE)
        metadata.real(f"{prefix}.router_jitter_noise", jitter)
    for theirs, ours in mixture.numbers.items():
        metadata.integer(f"{prefix}.{ours}", config.integer(theirs, 0, MAX_EXPERTS, 0))
    return ExpertSizes(n_expert, n_ff, are_sparse, n_latent, mixture.has_network)


def _is_of_chosen(
    config: JsonObject, mixture: Mixture, prefix: str, metadata: Metadata
) -> bool:
    """Whether the softmax of the chosen experts' scores weighs, and not the sigmoid.

    That softmax is the one over all scores with weights that sum to 1.
    """
    found = config.text(mixture.gating)
    if found not in ("softmax", "sigmoid"):
        config.refuse(mixture.gating, "softmax or sigmoid", found)
    is_softmax = found == "softmax"
    metadata.integer(f"{prefix}.expert_gating_func", 1 if is_softmax else _SIGMOID)
    return is_softmax


def _add_n_used(
    n_used: int,
    prefix: str,
    sizes: Sizes,
    are_sparse: tuple[bool, ...],
    metadata: Metadata,
) -> None:
    """Add how many experts are used: 0 in layers of one part that is a network."""
    key, rules = f"{prefix}.expert_used_count", family_rules(prefix)
    have_network = [n_ff > 0 for n_ff in sizes.n_ff]
    if rules.scan == "alone" and have_network != list(are_sparse):
        metadata.integers(key, [n_used if each else 0 for each in are_sparse])
    else:
        metadata.integer(key, n_used)


def _are_sparse(
    config: JsonObject, prefix: str, sizes: Sizes, metadata: Metadata
) -> tuple[bool, ...]:
    """Read which layers have experts; add the number of dense ones before them."""
    if "expert_layers" in config.values:
        return tuple(config.items("expert_layers"))
    n_dense = config.integer("first_k_dense_replace", 0, sizes.n_layer, default=0)
    kinds = config.items("mlp_layer_types")
    if kinds:
        n_dense = kinds.index("sparse") if "sparse" in kinds else len(kinds)
        wanted = ["dense"] * n_dense + ["sparse"] * (sizes.n_layer - n_dense)
        if kinds != wanted:
            config.refuse("mlp_layer_types", "dense layers, then sparse ones", kinds)
    key = "leading_dense_block_count"
    if n_dense and key not in family_rules(prefix).keys:
        found = kinds or n_dense
        name = "mlp_layer_types" if kinds else "first_k_dense_replace"
        config.refuse(name, "experts in each layer", found)
    if n_dense:
        metadata.integer(f"{prefix}.{key}", n_dense)
    return (False,) * n_dense + (True,) * (sizes.n_layer - n_dense)


def _check_layers(config: JsonObject, sizes: Sizes) -> None:
    """Refuse other layers than the first that are dense, and sums of shared experts."""
    key = "shared_expert_combination_strategy"
    if config.flag("has_shared_experts", False) and key in config:
        if (how := config.text(key)) != "average":
            config.refuse(key, "average", how)
    last = config.integer("moe_layer_end_index", -1, MAX_LAYERS, default=-1)
    if last not in (-1, sizes.n_layer - 1):
        config.refuse("moe_layer_end_index", "-1, or the last layer", last)
    for key in ("decoder_sparse_step", "moe_layer_interval"):
        step = config.integer(key, 0, 1 << 30, default=1)
        if step != 1:
            config.refuse(key, "1, experts in each layer", step)
    dense = config.items("mlp_only_layers")
    if dense:
        config.refuse("mlp_only_layers", "none, experts in each layer", dense)


def _check_least_sum(config: JsonObject) -> None:
    """Refuse a least sum to divide weights by that sums may be less than."""
    key = "moe_norm_min"
    least = config.real(key, 0.0, MAX_SCALE, default=0.0)
    if least > _LEAST_SUM:
        config.refuse(key, f"at most {_LEAST_SUM:g}", least)
