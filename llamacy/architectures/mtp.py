"""The MTP head of a model: a layer more, which predicts the token after the next one.

Multi-token prediction (DeepSeek-AI 2024, arXiv:2412.19437, section 2.2). The head makes
a row of a token's embedding and of the model's last row, after the last norm, at the
token before; its layer and the output matrix make logits of the token that follows.
Tensors are llama.cpp's, in the block after the model's.

While the model reads a text, the head keeps up: it appends keys and values of its own,
and keeps the model's last row for the token to come. To draft, it goes on from there,
with its own row in place of the model's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llamacy.architectures.attention import key_values
from llamacy.architectures.parts import Block, Parts, Value
from llamacy.architectures.tensors import Specs, optional, required
from llamacy.config import AttentionConfig, LayerConfig, ModelConfig
from llamacy.ops.state.specs import Recurrence


def can_have_head(config: ModelConfig) -> bool:
    """Whether a layer attends: the head's is like the last of these."""
    return any(isinstance(layer.mixer, AttentionConfig) for layer in config.layers)


def mtp_tensors(
    config: ModelConfig, of_layer: Callable[[ModelConfig, LayerConfig], Specs]
) -> Specs:
    """Return the specs of the head's tensors.

    Parameters
    ----------
    config : ModelConfig
        The model, complete.
    of_layer : callable
        Given the model and a layer, returns the specs of that layer's tensors by their
        names in a layer.
    """
    n, n_vocab, prefix = config.n_embd, config.n_vocab, f"blk.{config.n_layer}."
    specs = of_layer(config, _layer(config)) | {
        "nextn.eh_proj.weight": required(n, 2 * n),
        "nextn.eh_proj.scale": optional(1),
        "nextn.enorm.weight": required(n),
        "nextn.hnorm.weight": required(n),
        # those of the model take their places
        "nextn.shared_head_norm.weight": optional(n),
        "nextn.embed_tokens.weight": optional(n_vocab, n),
        "nextn.shared_head_head.weight": optional(n_vocab, n),
        "nextn.shared_head_head.scale": optional(1),
    }
    return {prefix + name: spec.within(prefix) for name, spec in specs.items()}


def keep_up(
    model: Parts,
    x: Value,
    keys_and_values: Callable[[Block, Value], tuple[Value, Value]],
) -> None:
    """Let the head read the batch's tokens with the model.

    Parameters
    ----------
    model : Parts
        The model.
    x : Value
        Its last rows, (M, n_embd).
    keys_and_values : callable
        Makes keys, rotated, and values of a layer's normed rows.
    """
    head = _block(model)
    before = _shifted(head, model.normed(x, "output_norm"))
    row = _joined(head, _embedded(head), before)
    k, v = keys_and_values(head, head.norm(row, "attn_norm"))
    model.ops.append(k, v, state=key_values(head.number, head.config.attention))


def draft(model: Parts, layer: Callable[[Block, Value], Value]) -> Value:
    """Return the head's logits after the wanted rows: (n_wanted, n_vocab).

    Parameters
    ----------
    model : Parts
        The model.
    layer : callable
        Puts rows through a layer, residuals included.
    """
    head, ops = _block(model), model.ops
    embedded = _embedded(head)
    before = _shifted(head, embedded)  # which is kept only until the head's row is
    x = layer(head, _joined(head, embedded, before))
    if head.weight("nextn.shared_head_norm.weight") is None:
        x = model.normed(x, "output_norm")
    else:
        x = head.norm(x, "nextn.shared_head_norm")
    _shifted(head, x)
    x = ops.wanted(x)
    if head.weight("nextn.shared_head_head.weight") is None:
        return model.output(x)
    return head.linear(x, "nextn.shared_head_head")


def _layer(config: ModelConfig) -> LayerConfig:
    """Return the head's layer: as the last that attends."""
    attend = [x for x in config.layers if isinstance(x.mixer, AttentionConfig)]
    return attend[-1]


def _block(model: Parts) -> Block:
    return Block(model, model.config.n_layer, _layer(model.config))


def _embedded(head: Block) -> Value:
    """Return the normed embeddings of the batch's tokens: (M, n_embd)."""
    own = head.weight("nextn.embed_tokens.weight")
    shared = head.model.weights["token_embd.weight"]
    x = head.ops.embedding(shared if own is None else own)
    return head.norm(x, "nextn.enorm")


def _shifted(head: Block, x: Value) -> Value:
    """Return for each row the one before it in its text: 0 before the first.

    The last one of a text is kept for its next pass.
    """
    n = head.model.config.n_embd
    before = np.tile(np.array([1, 0], np.float32), n)
    return head.ops.causal_conv(x, before, state=Recurrence(head.number, n, 1))


def _joined(head: Block, embedded: Value, before: Value) -> Value:
    """Make rows of embeddings and of the rows before: (M, n_embd)."""
    both = head.ops.join(embedded, head.norm(before, "nextn.hnorm"))
    return head.linear(both, "nextn.eh_proj")
