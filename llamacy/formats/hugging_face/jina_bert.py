"""Jina's encoders in Hugging Face's form: embeddings v2 and v3, and rerankers.

Files of v3 that Jina's own code reads have the classes of XLM-RoBERTa, whose names of
tensors are others there, and may have adapters for tasks beside each matrix. The model
for code, of v2, has the class of the other models of v2.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from llamacy.formats.hugging_face import encoders
from llamacy.formats.hugging_face.common_keys import Defaults
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.printable import shown

NAMES: Final = ("jina-bert-v2", "jina-bert-v3")

_TYPES: Final = {"model.embeddings.token_type_embeddings": "token_types"}
_POOLER: Final = {"model.pooler.dense": "cls", "classifier": encoders.SCORES}
_HEAD: Final = {"classifier.dense": "cls", "classifier.out_proj": encoders.SCORES}
_V2: Final = Family(
    architecture="jina-bert-v2",
    layer={
        "attention.self.query": "attn_q",
        "attention.self.key": "attn_k",
        "attention.self.value": "attn_v",
        "attention.output.dense": "attn_output",
        "attention.output.LayerNorm": "attn_output_norm",
        "mlp.gated_layers": "ffn_up",  # and ffn_gate, above it
        "mlp.wo": "ffn_down",
        "mlp.layernorm": "layer_output_norm",
    },
    outside={**_TYPES, "model.embeddings.LayerNorm": "token_embd_norm"},
    renamed=encoders.also_within(encoders.BERT, "bert"),
    without=frozenset({"output_norm", "output"}),
    halves={"ffn_up": "ffn_gate"},
    idle=("model.pooler.", "cls."),
    always_biased=frozenset(
        (
            *("attn_q", "attn_k", "attn_v", "attn_output", "ffn_down"),
            *("token_embd_norm", "attn_output_norm", "layer_output_norm"),
        )
    ),
    eps="layer_norm_eps",
    activations=("gelu",),
)
_V2_SCORER: Final = replace(
    _V2,
    outside={**_V2.outside, **_POOLER},
    idle=("cls.",),
    always_biased=_V2.always_biased | {"cls", encoders.SCORES},
)
_V2_CODE: Final = replace(
    _V2,
    layer={
        "attention.self.query": "attn_q",
        "attention.self.key": "attn_k",
        "attention.self.value": "attn_v",
        "attention.self.layer_norm_q": "attn_q_norm",
        "attention.self.layer_norm_k": "attn_k_norm",
        "attention.output.dense": "attn_output",
        "attention.output.LayerNorm": "attn_output_norm",
        "layer_norm_1": "attn_norm_2",
        "mlp.up_gated_layer": "ffn_gate",  # and ffn_up, above it
        "mlp.down_layer": "ffn_down",
        "layer_norm_2": "layer_output_norm",
    },
    halves={"ffn_gate": "ffn_up"},
    always_biased=_V2.always_biased | {"attn_q_norm", "attn_k_norm", "attn_norm_2"},
)
_V3: Final = Family(
    architecture="jina-bert-v3",
    layer={
        "mixer.Wqkv": "attn_qkv",
        "mixer.out_proj": "attn_output",
        "norm1": "attn_output_norm",
        "mlp.fc1": "ffn_up",
        "mlp.fc2": "ffn_down",
        "norm2": "layer_output_norm",
    },
    outside={**_TYPES, "model.emb_ln": "token_embd_norm"},
    renamed=encoders.also_within(encoders.FLASH_BERT, "roberta"),
    without=frozenset({"output_norm", "output"}),
    idle=("model.pooler.", "lm_head."),
    always_biased=frozenset(
        (
            *("attn_qkv", "attn_output", "ffn_up", "ffn_down"),
            *("token_embd_norm", "attn_output_norm", "layer_output_norm"),
        )
    ),
    eps="layer_norm_eps",
    activations=("gelu",),
)
_V3_SCORER: Final = replace(
    _V3,
    outside={**_V3.outside, **_HEAD},
    always_biased=_V3.always_biased | {"cls", encoders.SCORES},
)
_LEARNED: Final = {"model.embeddings.position_embeddings": "position_embd"}
_ROBERTA: Final = replace(
    _V3,
    architecture="bert",
    outside={**_V3.outside, **_LEARNED},
    forms={"position_embd": "last_rows"},
)
_ROBERTA_SCORER: Final = replace(
    _V3_SCORER,
    architecture="bert",
    outside={**_V3_SCORER.outside, **_LEARNED},
    forms={"position_embd": "last_rows"},
)

FAMILIES: Final[Mapping[str, Family]] = {
    "JinaBertModel": _V2,
    "JinaBertForSequenceClassification": _V2_SCORER,
    "JinaBertCodeModel": _V2_CODE,
    "JinaEmbeddingsV3Model": _V3,
    "JinaEmbeddingsV3ForSequenceClassification": _V3_SCORER,
    "XLMRobertaRotaryModel": _V3,
    "XLMRobertaRotaryForSequenceClassification": _V3_SCORER,
    "XLMRobertaFlashModel": _ROBERTA,
    "XLMRobertaFlashForSequenceClassification": _ROBERTA_SCORER,
}
"""The families of this file by the names of their classes; see `own_class`."""

SAME_CLASSES: Final = {
    "JinaBertForMaskedLM": "JinaBertModel",
    "JinaEmbeddingsV3ForMaskedLM": "JinaEmbeddingsV3Model",
}
"""Classes that guess hidden words, and the class of the encoder within."""

_SCORES: Final = "ForSequenceClassification"
CLASSIFIERS: Final = {
    name: name.replace(_SCORES, "Model") for name in FAMILIES if name.endswith(_SCORES)
}
"""Classes that score texts, and the class of the encoder within."""

MODEL_TYPES: Final = {"jina_embeddings_v3": "JinaEmbeddingsV3Model"}
"""Classes by `model_type`."""

_OF_ALL: Final[Defaults] = {
    "hidden_act": "gelu",
    "tie_word_embeddings": True,
    "quantization_config": None,
    **encoders.OF_SCORES,
}
_V2_DEFAULTS: Final[Defaults] = {
    **_OF_ALL,
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "feed_forward_type": "original",
}
_V3_DEFAULTS: Final[Defaults] = {
    **_OF_ALL,
    "vocab_size": 250002,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "max_position_embeddings": 8194,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "rope_theta": 20000.0,
    "rope_parameters": None,
    "rope_scaling": None,
}
_FLASH_DEFAULTS: Final[Defaults] = {
    **_V3_DEFAULTS,
    "rotary_emb_base": 10000.0,
    "lora_adaptations": None,
}


def _defaults(name: str) -> Defaults:
    if name.startswith("JinaBert"):
        return _V2_DEFAULTS
    if name.startswith("JinaEmbeddings"):
        return _V3_DEFAULTS
    kind = "rotary" if name.startswith("XLMRobertaRotary") else "absolute"
    return {**_FLASH_DEFAULTS, "position_embedding_type": kind}


DEFAULTS: Final[Mapping[str, Defaults]] = {name: _defaults(name) for name in FAMILIES}
"""Keys and defaults of the classes: see `classes`."""

_OF_XLM_ROBERTA: Final = ("XLMRobertaModel", "XLMRobertaForSequenceClassification")

_logger = logging.getLogger("llamacy")


def own_class(name: str, config: JsonObject) -> str:
    """Return the name in `FAMILIES` of a class whose name Jina's code uses, too.

    Other names are returned as they are. The places of the code that a file names tell,
    or a key that only Jina's code has.
    """
    places = f"{config.get('auto_map')} {config.get('_name_or_path')}"
    if name == "JinaBertModel" and "qk-post-norm" in places:
        return "JinaBertCodeModel"
    is_flash = "XLMRobertaFlash" in places or "use_flash_attn" in config.values
    if not is_flash or name not in _OF_XLM_ROBERTA:
        return name
    is_rotary = config.get("position_embedding_type") == "rotary"
    base = "XLMRoberta"
    return name.replace(base, f"{base}Rotary" if is_rotary else f"{base}Flash")


def with_computed_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of a class of v3 with those that are derived from others.

    Positions are counted from the number of the token that fills texts up.
    """
    padding, length = values["pad_token_id"], values["max_position_embeddings"]
    if type(padding) is int and type(length) is int:
        values["max_position_embeddings"] = length - padding - 1
    if "rotary_emb_base" in values:
        values["rope_theta"] = values.pop("rotary_emb_base")
    return values


COMPUTED: Final = {
    name: with_computed_keys for name in FAMILIES if not name.startswith("JinaBert")
}
"""Functions that derive the keys of the classes of v3."""


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has; say which adapters are left out.

    Raises
    ------
    FormatError
        A value is wrong.
    UnsupportedError
        Positions or networks of other kinds.
    """
    if architecture == "jina-bert-v2":
        for key, wanted in (
            ("position_embedding_type", "alibi"),
            ("feed_forward_type", "geglu"),
        ):
            if (found := config.text(key)) != wanted:
                config.refuse(key, wanted, found)
    encoders.add_encoder(config, architecture, metadata)
    if tasks := config.items("lora_adaptations"):
        _logger.warning(
            "%s: adapters of %d tasks left out, %s the first: texts are embedded by "
            "the base alone",
            *(config.path, len(tasks), shown(tasks[0])),
        )


with_sizes = encoders.with_sizes
lacked_parts = encoders.lacked_parts
