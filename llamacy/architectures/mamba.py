"""Mamba: selective scans alone, without attention and without feed-forward networks.

Gu & Dao 2023 (arXiv:2312.00752). In Falcon Mamba (Zuo et al. 2024, arXiv:2410.05355)
steps, and what writes and reads, are normed.
"""

from __future__ import annotations

from llamacy.architectures.layers import Layers
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.selective_scan import selective_scan, selective_scan_tensors
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file."""
    return config.layers


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: a norm, and a scan."""
    return norm_tensors(config, "attn_norm") | selective_scan_tensors(config, layer)


def forward(model: Parts) -> Value:
    """Add to each row what scans make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, selective_scan(block, block.norm(x, "attn_norm")))
    return model.logits(x)
