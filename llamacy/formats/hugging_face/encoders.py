"""Encoders in Hugging Face's form: BERT and its kin, whose rows see all of their text.

Classes that embed differ from those that score texts by the classifier alone. A model
that was saved with the part that guesses hidden words is the same without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from llamacy.arguments import MAX_CTX
from llamacy.formats.gguf.embedding import (
    POOLINGS,
    SCORE_ACTIVATION,
    SCORE_ACTIVATIONS,
)
from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.hugging_face.common_keys import Defaults
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("bert",)
_TYPES: Final = "tokenizer.ggml.token_type_count"
_MOST_TYPES: Final = 1 << 10

SCORES: Final = "cls.output"
"""The part of a classifier that makes the scores."""

_HEAD: Final = {"classifier.dense": "cls", "classifier.out_proj": SCORES}
_POOLER: Final = {"model.pooler.dense": "cls", "classifier": SCORES}
_OUTSIDE: Final = {
    "model.embeddings.position_embeddings": "position_embd",
    "model.embeddings.token_type_embeddings": "token_types",
    "model.embeddings.LayerNorm": "token_embd_norm",
}
_LAYER: Final = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


BERT: Final = {
    "encoder.layer.": "model.layers.",
    "embeddings.word_embeddings.": "model.embed_tokens.",
    "embeddings.": "model.embeddings.",
    "pooler.": "model.pooler.",
}
"""The beginnings of BERT's names, and the usual ones."""

FLASH_BERT: Final = {
    "encoder.layers.": "model.layers.",
    "embeddings.word_embeddings.": "model.embed_tokens.",
    "embeddings.": "model.embeddings.",
    "emb_ln.": "model.emb_ln.",
    "pooler.": "model.pooler.",
}
"""The same of encoders whose code is made of flash-attention's BERT."""


def also_within(names: Mapping[str, str], *models: str) -> dict[str, str]:
    """Return beginnings of names, and those of the same names within other models."""
    return {
        start + theirs: ours
        for start in ("", *(f"{model}." for model in models))
        for theirs, ours in names.items()
    }


_BERT: Final = Family(
    architecture="bert",
    layer=_LAYER,
    outside=_OUTSIDE,
    renamed=also_within(BERT, "bert"),
    without=frozenset({"output_norm", "output"}),
    idle=("model.pooler.", "cls."),
    always_biased=frozenset({*_LAYER.values(), "token_embd_norm"}),
    eps="layer_norm_eps",
    activations=(
        *("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"),
        *("silu", "swish", "relu"),
    ),
    names_activation=True,
)
_BERT_CLASSIFIER: Final = replace(
    _BERT,
    outside=_OUTSIDE | _POOLER,
    idle=("cls.",),
    always_biased=_BERT.always_biased | {"cls", "cls.output"},
)
_ROBERTA: Final = replace(
    _BERT,
    renamed=also_within(BERT, "roberta"),
    forms={"position_embd": "last_rows"},
    idle=("model.pooler.", "lm_head."),
)
_ROBERTA_CLASSIFIER: Final = replace(
    _ROBERTA,
    outside=_OUTSIDE | _HEAD,
    always_biased=_ROBERTA.always_biased | {"cls", "cls.output"},
)
_DISTILBERT: Final = replace(
    _BERT,
    layer={
        "attention.q_lin": "attn_q",
        "attention.k_lin": "attn_k",
        "attention.v_lin": "attn_v",
        "attention.out_lin": "attn_output",
        "sa_layer_norm": "attn_output_norm",
        "ffn.lin1": "ffn_up",
        "ffn.lin2": "ffn_down",
        "output_layer_norm": "layer_output_norm",
    },
    outside={
        "model.embeddings.position_embeddings": "position_embd",
        "model.embeddings.LayerNorm": "token_embd_norm",
    },
    renamed=also_within(
        {
            "transformer.layer.": "model.layers.",
            "embeddings.word_embeddings.": "model.embed_tokens.",
            "embeddings.": "model.embeddings.",
        },
        "distilbert",
    ),
    idle=("vocab_",),
)

CLASSIFIERS: Final[Mapping[str, str]] = {
    f"{name}ForSequenceClassification": f"{name}Model"
    for name in ("Bert", "Roberta", "XLMRoberta", "Camembert")
}
"""Classes that score texts, and the class of the encoder within."""

SAME_CLASSES: Final[Mapping[str, str]] = {
    f"{name}ForMaskedLM": f"{name}Model"
    for name in ("Bert", "Roberta", "XLMRoberta", "Camembert", "DistilBert")
}
"""Classes that guess hidden words, and the class of the encoder within."""

FAMILIES: Final[Mapping[str, Family]] = {
    "BertModel": _BERT,
    "BertForSequenceClassification": _BERT_CLASSIFIER,
    "RobertaModel": _ROBERTA,
    "RobertaForSequenceClassification": _ROBERTA_CLASSIFIER,
    "XLMRobertaModel": _ROBERTA,
    "XLMRobertaForSequenceClassification": _ROBERTA_CLASSIFIER,
    "CamembertModel": _ROBERTA,
    "CamembertForSequenceClassification": _ROBERTA_CLASSIFIER,
    "DistilBertModel": _DISTILBERT,
}
"""The families of this file by the names of their classes."""

OF_SCORES: Final[Defaults] = {
    "id2label": None,
    "num_labels": None,
    "sentence_transformers": None,
    "sbert_ce_default_activation_function": None,
}
"""Keys about what a classifier's numbers are, with their defaults."""

_BERT_DEFAULTS: Final[Defaults] = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "tie_word_embeddings": True,
    "quantization_config": None,
    **OF_SCORES,
}
_ROBERTA_DEFAULTS: Final[Defaults] = {
    **_BERT_DEFAULTS,
    "vocab_size": 50265,
    "pad_token_id": 1,
}
_XLM_ROBERTA_DEFAULTS: Final = {**_ROBERTA_DEFAULTS, "vocab_size": 30522}
_DISTILBERT_DEFAULTS: Final[Defaults] = {
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "n_layers": 6,
    "n_heads": 12,
    "dim": 768,
    "hidden_dim": 3072,
    "activation": "gelu",
    "sinusoidal_pos_embds": False,
    "tie_word_embeddings": True,
    "quantization_config": None,
}
_OF_MODELS: Final[Mapping[str, Defaults]] = {
    "BertModel": _BERT_DEFAULTS,
    "RobertaModel": _ROBERTA_DEFAULTS,
    "XLMRobertaModel": _XLM_ROBERTA_DEFAULTS,
    "CamembertModel": _XLM_ROBERTA_DEFAULTS,
    "DistilBertModel": _DISTILBERT_DEFAULTS,
}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    name: _OF_MODELS[CLASSIFIERS.get(name, name)] for name in FAMILIES
}
"""Keys and defaults of the classes: see `classes`."""

MODEL_TYPES: Final[Mapping[str, str]] = {
    "bert": "BertModel",
    "roberta": "RobertaModel",
    "xlm-roberta": "XLMRobertaModel",
    "camembert": "CamembertModel",
    "distilbert": "DistilBertModel",
}
"""Classes by `model_type`."""

USUAL_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "DistilBertModel": {
        "dim": "hidden_size",
        "hidden_dim": "intermediate_size",
        "n_layers": "num_hidden_layers",
        "n_heads": "num_attention_heads",
        "activation": "hidden_act",
    }
}
"""Usual names of keys by those of a class."""


def with_computed_keys(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a class's keys with those that its code has, or derives from others.

    RoBERTa's positions begin after the number of the token that fills texts up: their
    first rows are of no position.
    """
    if FAMILIES[name] is _DISTILBERT:
        return values | {"layer_norm_eps": 1e-12}
    padding, length = values["pad_token_id"], values["max_position_embeddings"]
    if FAMILIES[name].forms and isinstance(padding, int) and isinstance(length, int):
        values["max_position_embeddings"] = length - padding - 1
    return values


def with_sizes(config: JsonObject) -> JsonObject:
    """Return config.json as it is: layers are alike."""
    return config


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has.

    Raises
    ------
    FormatError
        A value is wrong.
    UnsupportedError
        Positions that are neither learned nor rows of a matrix.
    """
    kind = config.text("position_embedding_type", "absolute")
    if kind != "absolute":
        config.refuse("position_embedding_type", "absolute", kind)
    add_encoder(config, architecture, metadata)


def add_encoder(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that all encoders have.

    Raises
    ------
    FormatError
        A value is wrong.
    """
    metadata.flag(f"{architecture}.attention.causal", False)
    if "type_vocab_size" in config:
        n_types = config.integer("type_vocab_size", 1, _MOST_TYPES)
        metadata.integer(_TYPES, n_types)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks: none."""
    none: frozenset[str] = frozenset()
    return (none,) * config.integer("num_hidden_layers", 1, MAX_CTX)


def add_classifier(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys of a model that scores texts.

    Raises
    ------
    FormatError
        Scores are not numbered from 0 on.
    UnsupportedError
        The function that scores go through is not known.
    """
    metadata.integer(f"{architecture}.pooling_type", POOLINGS.index("rank"))
    labels = _labels(config)
    metadata.texts(f"{architecture}.classifier.output_labels", labels)
    activation = "Sigmoid" if len(labels) == 1 else "Identity"
    own = config.child("sentence_transformers")
    old = "sbert_ce_default_activation_function"
    if own is not None and "activation_fn" in own:
        activation = own.text("activation_fn")
    elif old in config:
        activation = config.text(old)
    activation = activation.rpartition(".")[2].lower()
    if activation not in SCORE_ACTIVATIONS:
        wanted = f"one of {', '.join(SCORE_ACTIVATIONS)}"
        config.refuse("sentence_transformers.activation_fn", wanted, activation)
    metadata.text(f"{architecture}.{SCORE_ACTIVATION}", activation)


def _labels(config: JsonObject) -> list[str]:
    """Return the names of a classifier's scores, in their order."""
    found = config.child("id2label")
    if found is None:
        n_labels = config.integer("num_labels", 1, MAX_VOCAB, default=2)
        return [f"LABEL_{i}" for i in range(n_labels)]
    return [found.text(str(i)) for i in range(len(found.values))]
