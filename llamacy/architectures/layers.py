"""A family's additions to the layers that a file describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from llamacy.config import (
    Activation,
    AttentionConfig,
    ExpertConfig,
    LayerConfig,
    ModelConfig,
)

Layers: TypeAlias = tuple[LayerConfig, ...]

ExpertRule: TypeAlias = Callable[[int, ExpertConfig], ExpertConfig]
"""Given a layer's `n_ff` and its experts, returns the experts that the family makes."""


def layers_with(
    config: ModelConfig,
    *,
    is_neox: bool = False,
    scale: float | None = None,
    softcap: float | None = None,
    activation: Activation = "swiglu",
    experts: ExpertRule | None = None,
) -> Layers:
    """Return a model's layers, each with what the family has in all of them.

    Parameters
    ----------
    config : ModelConfig
        The file's configuration.
    is_neox : bool
        Whether rotated pairs are half of the rotated dimensions apart.
    scale : float or None
        Multiplies scores where the file does not say; None for 1 / sqrt(head_dim).
    softcap : float or None
        Bound of the scores.
    activation : Activation
        The nonlinear part of feed-forward networks.
    experts : callable or None
        Makes each layer's experts of those in the file, such as `as_declared`; None
        for a family without experts.
    """
    layers = []
    for layer in config.layers:
        mixer, network = layer.mixer, layer.feed_forward
        if isinstance(mixer, AttentionConfig):
            mixer = replace(
                mixer,
                rope=mixer.rope and replace(mixer.rope, is_neox=is_neox),
                scale=config.attention_scale or scale or mixer.scale,
                softcap=softcap,
            )
        its_experts = None
        if experts is not None and network.experts is not None:
            its_experts = experts(network.n_ff, network.experts)
        network = replace(network, activation=activation, experts=its_experts)
        layers.append(LayerConfig(mixer, network))
    return tuple(layers)


def as_declared(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    """Return the experts as the file declares them, with none for all tokens."""
    return replace(experts, n_ff_shared=0)


def as_wide(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    """Return the experts as wide as the file's networks, with none for all tokens."""
    return replace(experts, n_ff=n_ff, n_ff_shared=0)


def with_shared(n_ff: int, experts: ExpertConfig) -> ExpertConfig:
    """Return the experts, with one for all tokens as wide as those it stands for."""
    width = experts.n_ff_shared or experts.n_shared * experts.n_ff
    return replace(experts, n_ff_shared=width)


def without_positions(layer: LayerConfig) -> LayerConfig:
    """Return the layer, with nothing rotated if it attends."""
    if not isinstance(layer.mixer, AttentionConfig):
        return layer
    return replace(layer, mixer=replace(layer.mixer, rope=None))
