"""From the rows of texts to their embeddings, or to the scores of a classifier."""

from __future__ import annotations

from llamacy.architectures.parts import Parts, Value
from llamacy.architectures.tensors import Specs, all_optional, required
from llamacy.config import ModelConfig, Pooling
from llamacy.errors import ArgumentError

_DENSE = "dense_2", "dense_3"


def head_tensors(config: ModelConfig) -> Specs:
    """Return the specs of what may follow pooling: dense layers, or a classifier.

    Models that write texts have a classifier only if their files say so.
    """
    embedding, n_in = config.embedding, config.n_embd
    n_labels, specs = max(1, len(embedding.labels)), {}
    if not config.is_causal or embedding.labels or embedding.pooling == "rank":
        specs = {
            "cls.weight": required(n_in, n_in),
            "cls.bias": required(n_in),
            "cls.norm.weight": required(n_in),
            "cls.norm.bias": required(n_in),
            "cls.output.weight": required(n_labels, n_in),
            "cls.output.bias": required(n_labels),
        }
    for name, n_out in zip(_DENSE, embedding.dense, strict=False):
        specs[f"{name}.weight"] = required(n_out, n_in)
        specs[f"{name}.bias"] = required(n_out)
        n_in = n_out
    return all_optional(specs)


def pooled(model: Parts, rows: Value, pooling: Pooling) -> Value:
    """Turn rows into embeddings, scores, or what is wanted of them.

    Parameters
    ----------
    model : Parts
        The model.
    rows : Value
        All rows after the last norm: (M, n_embd).
    pooling : Pooling
        How rows become embeddings.

    Raises
    ------
    ArgumentError
        The model has no classifier, and scores are asked for.
    """
    ops, config = model.ops, model.config.embedding
    if pooling == "rank" and config.classifier_pooling == "late":
        return ops.mean(_classified(model, rows))
    how = config.pooled_as(pooling)
    x = ops.mean(rows) if how == "mean" else ops.wanted(rows)
    if pooling == "rank":
        return _classified(model, x)
    return _dense(model, x) if config.dense_of(pooling) else x


def _dense(model: Parts, x: Value) -> Value:
    """Apply the dense layers that the model has."""
    for name in _DENSE:
        weight = model.weights.get(f"{name}.weight")
        if weight is None:
            return x
        x = model.ops.linear(x, weight, model.weights.get(f"{name}.bias"))
        if model.config.embedding.has_tanh:
            x = _tanh(model, x)
    return x


def _classified(model: Parts, x: Value) -> Value:
    """Apply the classifier: perhaps a layer with an activation, then the scores."""
    ops, weights = model.ops, model.weights
    output, hidden = (weights.get(f"{n}.weight") for n in ("cls.output", "cls"))
    if output is None:
        wanted = "one that makes embeddings, as the model has no classifier"
        raise ArgumentError(f"pooling: wanted {wanted}, found 'rank'")
    if hidden is not None:
        x = ops.linear(x, hidden, weights.get("cls.bias"))
        is_gelu = model.config.embedding.classifier_activation == "gelu_erf"
        x = ops.gelu_erf(x) if is_gelu else _tanh(model, x)
        if (norm := weights.get("cls.norm.weight")) is not None:
            x = model.norm(x, norm, weights.get("cls.norm.bias"))
    return ops.linear(x, output, weights.get("cls.output.bias"))


def _tanh(model: Parts, x: Value) -> Value:
    return model.ops.softcap(x, 1.0)
