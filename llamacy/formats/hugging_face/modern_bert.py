"""ModernBERT in Hugging Face's form: an encoder with windows in most of its layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from llamacy.arguments import MAX_CTX
from llamacy.formats.gguf.embedding import POOLINGS
from llamacy.formats.hugging_face import encoders
from llamacy.formats.hugging_face.common_keys import WHOLE, WINDOWED, Defaults, n_layers
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("modern-bert",)

_NORMS: Final = ("attn_norm", "ffn_norm", "token_embd_norm", "output_norm", "cls.norm")
_EMBEDDER: Final = Family(
    architecture="modern-bert",
    layer={
        "attn_norm": "attn_norm",
        "attn.Wqkv": "attn_qkv",
        "attn.Wo": "attn_output",
        "mlp_norm": "ffn_norm",
        "mlp.Wi": "ffn_up",
        "mlp.Wo": "ffn_down",
    },
    outside={"model.embeddings.norm": "token_embd_norm"},
    renamed=encoders.also_within(
        {
            "embeddings.tok_embeddings.": "model.embed_tokens.",
            "embeddings.": "model.embeddings.",
            "layers.": "model.layers.",
            "final_norm.": "model.norm.",
        },
        "model",
    ),
    without=frozenset({"output"}),
    idle=("head.", "decoder."),
    eps="norm_eps",
    biased=frozenset({*_NORMS, "attn_qkv", "attn_output", "ffn_up", "ffn_down", "cls"}),
    bias_keys={
        "attention_bias": ("attn_qkv", "attn_output"),
        "mlp_bias": ("ffn_up", "ffn_down"),
        "norm_bias": _NORMS,
        "classifier_bias": ("cls",),
    },
    activations=(
        *("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh"),
        *("silu", "swish"),
    ),
    names_activation=True,
    refused=("rope_scaling",),
)
_SCORER: Final = replace(
    _EMBEDDER,
    outside={
        **_EMBEDDER.outside,
        "head.dense": "cls",
        "head.norm": "cls.norm",
        "classifier": encoders.SCORES,
    },
    idle=("decoder.",),
    always_biased=frozenset({encoders.SCORES}),
)

FAMILIES: Final[Mapping[str, Family]] = {
    "ModernBertModel": _EMBEDDER,
    "ModernBertForSequenceClassification": _SCORER,
}
"""The families of this file by the names of their classes."""

SAME_CLASSES: Final = {"ModernBertForMaskedLM": "ModernBertModel"}
"""The class that guesses hidden words, and that of the encoder within."""

CLASSIFIERS: Final = {"ModernBertForSequenceClassification": "ModernBertModel"}
"""The class that scores texts, and that of the encoder within."""

MODEL_TYPES: Final = {"modernbert": "ModernBertModel"}
"""Classes by `model_type`."""

_DEFAULTS: Final[Defaults] = {
    "vocab_size": 50368,
    "hidden_size": 768,
    "intermediate_size": 1152,
    "num_hidden_layers": 22,
    "num_attention_heads": 12,
    "hidden_activation": "gelu",
    "max_position_embeddings": 8192,
    "norm_eps": 1e-5,
    "norm_bias": False,
    "attention_bias": False,
    "mlp_bias": False,
    "layer_types": None,
    "global_attn_every_n_layers": 3,
    "local_attention": 128,
    "rope_theta": 160000.0,
    "global_rope_theta": None,
    "rope_local_base_freq": 10000.0,
    "local_rope_theta": None,
    "rope_scaling": None,
    "rope_parameters": None,
    "classifier_pooling": "cls",
    "classifier_bias": False,
    "classifier_activation": "gelu",
    "position_embedding_type": None,
    "layer_norm_eps": None,
    "tie_word_embeddings": True,
    "quantization_config": None,
    **encoders.OF_SCORES,
}
DEFAULTS: Final[Mapping[str, Defaults]] = dict.fromkeys(FAMILIES, _DEFAULTS)
"""Keys and defaults of the classes: see `classes`."""


def with_computed_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Return a class's keys with usual names, and the kinds of its layers.

    Its window has as many tokens before a row as after it, which GGUF's key counts
    together.
    """
    values["sliding_window"] = values.pop("local_attention")
    for theirs, ours in (
        ("global_rope_theta", "rope_theta"),
        ("local_rope_theta", "rope_local_base_freq"),
    ):
        found = values.pop(theirs)
        values[ours] = _DEFAULTS[ours] if found is None else found
    for copy in ("layer_norm_eps", "position_embedding_type"):  # that nothing reads
        del values[copy]
    period = values.pop("global_attn_every_n_layers")
    if not values["layer_types"] and type(period) is int and period > 0:
        values["layer_types"] = [
            WINDOWED if layer % period else WHOLE for layer in range(n_layers(values))
        ]
    return values


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has.

    Raises
    ------
    UnsupportedError
        A classifier reads other rows than most, or has another activation.
    """
    encoders.add_keys(config, architecture, metadata)
    activation = config.text("classifier_activation")
    if activation != "gelu":
        config.refuse("classifier_activation", "gelu", activation)
    pooling = config.text("classifier_pooling")
    if pooling != "cls" and pooling != "mean":
        config.refuse("classifier_pooling", "cls or mean", pooling)
    number = POOLINGS.index(pooling)
    metadata.integer(f"{architecture}.classifier.pooling_type", number)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks: the first one a norm."""
    n_layer = config.integer("num_hidden_layers", 1, MAX_CTX)
    none: frozenset[str] = frozenset()
    return frozenset({"attn_norm"}), *(none,) * (n_layer - 1)


with_sizes = encoders.with_sizes
