"""Falcon-H1: attention and the scan of Mamba-2 beside each other, in all layers.

TII 2025 (arXiv:2507.22448). Both read the same norm, and both results are added. The
constants that multiply what parts of the model take and give are in its weights, as
llama.cpp's converter puts them there. Most models do not norm the scan's results.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention, attention_tensors
from llamacy.architectures.feed_forward import feed_forward, feed_forward_tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.scan import scan, scan_tensors
from llamacy.architectures.tensors import (
    Specs,
    TensorSpec,
    all_optional,
    norm_tensors,
    optional_biases,
)
from llamacy.config import LayerConfig, ModelConfig


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file."""
    return layers_with(config, is_neox=True)


def tensors(config: ModelConfig, layer: LayerConfig) -> Specs:
    """Return the specs of a layer: two norms, attention, a scan, and a network."""
    network = feed_forward_tensors(config, layer)
    of_scan = scan_tensors(config, layer)
    norm = "ssm_norm.weight"
    return {
        **norm_tensors(config, "attn_norm"),
        # without the usual ending in all of llama.cpp's files
        "ffn_norm": TensorSpec((config.n_embd,), True, names=("ffn_norm.weight",)),
        **attention_tensors(config, layer),
        **of_scan,
        **all_optional({norm: of_scan[norm]}),
        **network,
        **optional_biases(network),
    }


def forward(model: Parts) -> Value:
    """Add to each row what attention and scan make of its norm, and the network."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        h = block.norm(x, "attn_norm")
        x = ops.add(x, ops.add(attention(block, h), scan(block, h)))
        x = ops.add(x, feed_forward(block, block.norm(x, "ffn_norm")))
    return model.logits(x)
