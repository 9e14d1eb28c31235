"""GPT-NeoX and Pythia: layer norms with biases, parallel parts with a norm each.

Black et al. 2022 (arXiv:2204.06745), Biderman et al. 2023 (arXiv:2304.01373). Some
models add attention before the network reads the sum. The activation is GELU: with erf
in transformers, whose folders say so in `hidden_activation`, and with tanh in
llama.cpp, whose files have no such key.
"""

from __future__ import annotations

from llamacy.architectures.attention import attention
from llamacy.architectures.feed_forward import feed_forward
from llamacy.architectures.gpt2 import tensors
from llamacy.architectures.layers import Layers, layers_with
from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.starcoder2 import outside
from llamacy.config import Activation, ModelConfig

__all__ = ["forward", "layers", "outside", "tensors"]


def layers(config: ModelConfig) -> Layers:
    """Return the layers of the file, with the GELU that it names."""
    is_exact = config.hidden_activation == "gelu_erf"
    activation: Activation = "gelu_erf" if is_exact else "gelu"
    return layers_with(config, is_neox=True, activation=activation)


def forward(model: Parts) -> Value:
    """Add attention and network, of the same rows where they are parallel."""
    ops, x = model.ops, model.embed()
    for block in model.layers():
        attended = ops.add(x, attention(block, block.norm(x, "attn_norm")))
        read = x if model.config.has_parallel_residual else attended
        x = ops.add(attended, feed_forward(block, block.norm(read, "ffn_norm")))
    return model.logits(x)
