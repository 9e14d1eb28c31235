"""Experts of a model in a GGUF file: of all layers, and of each."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from llamacy.config import ExpertConfig, FamilyRules, Gating, ModelConfig
from llamacy.formats.gguf.keys import Keys
from llamacy.formats.gguf.limits import (
    MAX_EMBD,
    MAX_EXPERTS,
    MAX_FF,
    MAX_LAYERS,
    MAX_SCALE,
)

_GATINGS: Final[tuple[Gating | None, ...]] = (
    *(None, "softmax", "sigmoid", "softmax_of_chosen"),
)
"""Gatings by their number in files, which has a fourth one, sqrt(softplus)."""

_USED: Final = ".expert_used_count"


def read_experts(keys: Keys, rules: FamilyRules, n_layer: int) -> ExpertConfig | None:
    """Read what the experts of all layers have in common; None without any.

    Raises
    ------
    FormatError
        A key is missing, of another type, or out of range.
    UnsupportedError
        Gates are scaled in a family without that, or made in an unknown way.
    """
    n_expert = keys.integer(".expert_count", 0, MAX_EXPERTS, default=0)
    if n_expert == 0:
        return None
    key = ".expert_weights_scale"
    scale = keys.real(key, most=MAX_SCALE, default=1.0, is_zero_allowed=True)
    if scale not in (0, 1) and key[1:] not in rules.keys:  # 0: not scaled either
        keys.refuse(key, "1", scale)
    shared, norm = ".expert_shared_feed_forward_length", ".expert_weights_norm"
    jitter = _jitter(keys, rules)
    n_used, n_ff = map(max, _sizes(keys, rules, n_layer, n_expert))
    n_group, n_group_used = _groups(keys, n_expert, n_used)
    return ExpertConfig(
        n_expert=n_expert,
        n_used=n_used,
        n_ff=n_ff,
        n_ff_shared=keys.integer(shared, 0, MAX_FF, default=0),
        n_shared=keys.integer(".expert_shared_count", 0, MAX_EXPERTS, default=0),
        is_normalized=keys.flag(norm, False) if norm in keys else None,
        gating=_gating(keys) if jitter is None else "sparse_mixer",
        scale=scale or 1.0,
        jitter=jitter or 0.0,
        n_group=n_group,
        n_group_used=n_group_used,
        n_latent=_n_latent(keys, rules),
    )


def experts_of_layers(
    keys: Keys, config: ModelConfig, rules: FamilyRules, n_ff: list[int]
) -> list[ExpertConfig | None]:
    """Complete the experts of layers that have some.

    A token's experts share the width n_ff where the file does not say theirs.

    Raises
    ------
    FormatError
        A layer's number or width is out of range.
    """
    experts, n_layer = config.experts, len(n_ff)
    if experts is None:
        return [None] * n_layer
    is_normalized = experts.is_normalized
    if is_normalized is None:
        is_normalized = rules.is_normalized
    n_used, widths = _sizes(keys, rules, n_layer, experts.n_expert)
    if rules.may_lack_router and not keys.is_array(_USED):
        n_used = tuple(
            number if keys.has_tensor(f"blk.{layer}.ffn_gate_inp.weight") else 0
            for layer, number in enumerate(n_used)
        )
    n_dense, period = _n_dense(keys), _period(keys, rules)
    limits = _limits(keys, rules, ".swiglu_clamp_exp", n_layer)
    shared_limits = _limits(keys, rules, ".swiglu_clamp_shexp", n_layer)
    return [
        replace(
            experts,
            limit=limits[layer],
            shared_limit=shared_limits[layer],
            n_used=n_used[layer],
            n_ff=widths[layer] or max(1, n_ff[layer] // n_used[layer]),
            is_normalized=is_normalized,
            gating=experts.gating or rules.gating,
        )
        if layer >= n_dense
        and n_ff[layer]
        and n_used[layer]
        and (period is None or layer % period == 1)
        else None
        for layer in range(n_layer)
    ]


def _limits(
    keys: Keys, rules: FamilyRules, key: str, n_layer: int
) -> tuple[float, ...]:
    """Read a bound for each layer, of what its experts compute; 0 for none."""
    if key[1:] not in rules.keys or key not in keys:
        return (0.0,) * n_layer
    limits = keys.reals_per_layer(key, n_layer)
    if min(limits) < 0:
        keys.fail(key, "bounds above 0, or 0 for none", min(limits))
    return limits


def _n_dense(keys: Keys) -> int:
    """Count the first layers, which have a network in place of experts."""
    return keys.integer(".leading_dense_block_count", 0, MAX_LAYERS, default=0)


def _period(keys: Keys, rules: FamilyRules) -> int | None:
    """Read of how many layers the second one has experts; None where all may have."""
    key = ".moe_every_n_layers"
    return keys.integer(key, 2, MAX_LAYERS) if key[1:] in rules.keys else None


def _sizes(
    keys: Keys, rules: FamilyRules, n_layer: int, n_expert: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Read how many experts a token of each layer goes through, and their width.

    Layers without experts may have 0 in an array: the dense ones before all others, and
    those of families that have such layers anywhere. A width of 0 stands for the
    family's default.

    Raises
    ------
    FormatError
        A number is out of range, as 0 is in layers with experts, or an array has
        another length.
    """
    least = 0 if keys.is_array(_USED) else 1
    n_used = keys.per_layer(_USED, n_layer, n_expert, least=least)
    n_dense = n_layer if rules.may_lack_experts else _n_dense(keys)
    for layer, number in enumerate(n_used):
        if number == 0 and layer >= n_dense:
            keys.fail(_USED, f"1 to {n_expert}", f"0 in layer {layer}")
    width = ".expert_feed_forward_length"
    n_ff = keys.per_layer(width, n_layer, MAX_FF, (0,) * n_layer, least=0)
    return n_used, n_ff


def _gating(keys: Keys) -> Gating | None:
    """Read what makes gates of scores; 0 stands for the family's default."""
    key = ".expert_gating_func"
    number = keys.integer(key, 0, MAX_EXPERTS, default=0)
    if number >= len(_GATINGS):
        keys.refuse(key, f"0 to {len(_GATINGS) - 1}", number)
    return _GATINGS[number]


def _jitter(keys: Keys, rules: FamilyRules) -> float | None:
    """Read the constant of a sparse mixer, a key of llamacy's own; None without one."""
    key = ".router_jitter_noise"
    if key[1:] not in rules.keys or key not in keys:
        return None
    return keys.real(key, most=MAX_SCALE, is_zero_allowed=True)


def _n_latent(keys: Keys, rules: FamilyRules) -> int:
    """Read the width of rows for experts; 0 for rows as they are."""
    key = "moe_latent_size"
    return keys.integer(f".{key}", 0, MAX_EMBD, default=0) if key in rules.keys else 0


def _groups(keys: Keys, n_expert: int, n_used: int) -> tuple[int, int]:
    """Read how many groups of experts there are, and how many a token chooses from."""
    key, used = ".expert_group_count", ".expert_group_used_count"
    n_group = keys.integer(key, 0, n_expert, default=0) or 1
    if n_expert % n_group:
        keys.fail(key, f"a divisor of {n_expert}", n_group)
    least = -(-n_used // (n_expert // n_group))  # that hold n_used experts
    if n_group == 1:
        return 1, 1
    return n_group, keys.integer(used, least, n_group)
