"""A model's hyperparameters, from which every layer above the formats works.

The names are ggml's. A format fills a `ModelConfig` in, one `LayerConfig` a layer; a
family of `architectures` completes it; nothing here knows where the numbers came from.
"""

from llamacy.config.embedding import ClassifierPooling, EmbeddingConfig, Pooling
from llamacy.config.experts import ExpertConfig, Gating
from llamacy.config.layers import (
    Activation,
    AttentionAndScanConfig,
    AttentionConfig,
    DeltaRuleConfig,
    FeedForwardConfig,
    GatedActivation,
    KeyHead,
    LatentAttentionConfig,
    LayerConfig,
    Mixer,
    ScanConfig,
    SelectiveScanConfig,
    SharedAttentionConfig,
    ShortConvConfig,
)
from llamacy.config.model import ModelConfig
from llamacy.config.rope import RopeConfig
from llamacy.config.rules import FamilyRules, ScanRule, family_rules

__all__ = [
    "Activation",
    "AttentionAndScanConfig",
    "AttentionConfig",
    "ClassifierPooling",
    "DeltaRuleConfig",
    "EmbeddingConfig",
    "ExpertConfig",
    "FamilyRules",
    "FeedForwardConfig",
    "GatedActivation",
    "Gating",
    "LatentAttentionConfig",
    "KeyHead",
    "LayerConfig",
    "Mixer",
    "ModelConfig",
    "Pooling",
    "RopeConfig",
    "ScanConfig",
    "SelectiveScanConfig",
    "SharedAttentionConfig",
    "ScanRule",
    "ShortConvConfig",
    "family_rules",
]
