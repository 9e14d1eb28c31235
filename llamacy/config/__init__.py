"""A model's hyperparameters, from which every layer above the formats works.

The names are ggml's. A format fills a `ModelConfig` in, one `LayerConfig` a layer; a
family of `architectures` completes it; nothing here knows where the numbers came from.
"""

from llamacy.config.experts import ExpertConfig, Gating
from llamacy.config.layers import (
    Activation,
    AttentionConfig,
    FeedForwardConfig,
    GatedActivation,
    LatentAttentionConfig,
    LayerConfig,
    Mixer,
    SharedAttentionConfig,
)
from llamacy.config.model import ModelConfig
from llamacy.config.rope import RopeConfig
from llamacy.config.rules import FamilyRules, family_rules

__all__ = [
    "Activation",
    "AttentionConfig",
    "ExpertConfig",
    "FamilyRules",
    "FeedForwardConfig",
    "GatedActivation",
    "Gating",
    "LatentAttentionConfig",
    "LayerConfig",
    "Mixer",
    "ModelConfig",
    "RopeConfig",
    "SharedAttentionConfig",
    "family_rules",
]
