"""Mamba-2: scans alone, without attention and without feed-forward networks.

Dao & Gu 2024 (arXiv:2405.21060). State Space Models' own and Mamba-Codestral.
"""

from __future__ import annotations

from llamacy.architectures.layers import Layers
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.scan import scan, scan_tensors
from llamacy.architectures.tensors import Specs, norm_tensors
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file."""
    return config.layers


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: a norm, and a scan."""
    return norm_tensors(config, "attn_norm") | scan_tensors(config, layer)


def forward(model: Parts) -> Value:
    """Add to each row what scans make of its norm."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        x = ops.add(x, scan(block, block.norm(x, "attn_norm")))
    return model.logits(x)
