"""Encoders that are families like LLaMA, in Hugging Face's form: EuroBERT and others.

Their rows see all of their text. A model of any family may be one, if `is_causal` of
its config.json is false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from llamacy.config import Pooling
from llamacy.formats.gguf.embedding import LATE, POOLINGS
from llamacy.formats.hugging_face import encoders, lfm2
from llamacy.formats.hugging_face.common_keys import LLAMA, Defaults
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.layer_names import LAYER, MATRICES
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("eurobert", "llama-embed")
_CLASSIFIER: Final = "EuroBertForSequenceClassification"
_RERANKER: Final = "LlamaBidirectionalForSequenceClassification"
_POOLINGS: Final[Mapping[str, Pooling]] = {
    **{"avg": "mean", "mean": "mean", "cls": "cls", "bos": "cls"},
    "last": "last",
}
_LATE: Final = "late"

_EUROBERT: Final = Family(
    architecture="eurobert",
    layer=LAYER,
    without=frozenset({"output"}),
    idle=("lm_head.",),
    biased=MATRICES,
    is_causal=False,
)
_LLAMA: Final = replace(_EUROBERT, architecture="llama-embed", is_interleaved=True)
_LFM2: Final = replace(
    lfm2.FAMILIES["Lfm2ForCausalLM"],
    without=frozenset({"output"}),
    idle=("lm_head.",),
    is_causal=False,
)
CLASSIFIERS: Final[Mapping[str, str]] = {
    _CLASSIFIER: "EuroBertModel",
    _RERANKER: "LlamaBidirectionalModel",
}
"""Classes that score texts, and the class of the encoder within."""

FAMILIES: Final[Mapping[str, Family]] = {
    "EuroBertModel": _EUROBERT,
    _CLASSIFIER: replace(
        _EUROBERT,
        outside={"dense": "cls", "classifier": encoders.SCORES},
        always_biased=frozenset({"cls", encoders.SCORES}),
    ),
    "LlamaBidirectionalModel": _LLAMA,
    _RERANKER: replace(
        _LLAMA, outside={"score": encoders.SCORES}, fixed={"temperature": 1.0}
    ),
    "Lfm2BidirectionalModel": _LFM2,
}
"""The families of this file by the names of their classes."""

_EUROBERT_DEFAULTS: Final[Defaults] = {
    **LLAMA,
    "vocab_size": 128256,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "classifier_pooling": _LATE,
}
_LLAMA_DEFAULTS: Final[Defaults] = {**LLAMA, "pooling": "avg"}
DEFAULTS: Final[Mapping[str, Defaults]] = {
    "EuroBertModel": _EUROBERT_DEFAULTS,
    _CLASSIFIER: {**_EUROBERT_DEFAULTS, **encoders.OF_SCORES},
    "LlamaBidirectionalModel": _LLAMA_DEFAULTS,
    _RERANKER: {**_LLAMA_DEFAULTS, **encoders.OF_SCORES, "temperature": 1.0},
    "Lfm2BidirectionalModel": lfm2.DEFAULTS["Lfm2ForCausalLM"],
}
"""Keys and defaults of the classes: see `classes`."""

MODEL_TYPES: Final[Mapping[str, str]] = {
    "eurobert": "EuroBertModel",
    "llama_bidirec": "LlamaBidirectionalModel",
    "lfm2_bidirectional": "Lfm2BidirectionalModel",
}
"""Classes by `model_type`."""

SAME_CLASSES: Final[Mapping[str, str]] = {
    "EuroBertForMaskedLM": "EuroBertModel",
    "Gemma3TextModel": "Gemma3ForCausalLM",
    "Lfm2BidirectionalForMaskedLM": "Lfm2BidirectionalModel",
}
"""Classes that differ by a part that embeddings do without."""


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add how rows are pooled, or become what a classifier reads.

    Raises
    ------
    FormatError
        A value is wrong.
    UnsupportedError
        Another kind of pooling.
    """
    is_classifier = "num_labels" in config.values
    if architecture == NAMES[0] and not is_classifier:
        return
    key = "pooling" if "pooling" in config else "classifier_pooling"
    found = config.text(key)
    if found == _LATE and is_classifier:
        metadata.flag(f"{architecture}.{LATE}", True)
        return
    if found not in _POOLINGS:
        config.refuse(key, f"one of {', '.join(_POOLINGS)}", found)
    ours = "classifier.pooling_type" if is_classifier else "pooling_type"
    metadata.integer(f"{architecture}.{ours}", POOLINGS.index(_POOLINGS[found]))


with_sizes = encoders.with_sizes
lacked_parts = encoders.lacked_parts
