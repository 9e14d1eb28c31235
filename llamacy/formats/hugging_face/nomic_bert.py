"""Nomic BERT in Hugging Face's form, dense or with experts.

Files of transformers' class have the usual keys; those of Nomic's own code have GPT-2's
names for sizes, and flags about parts. Experts are in the latter only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from llamacy.formats.gguf.limits import MAX_LAYERS
from llamacy.formats.hugging_face import encoders
from llamacy.formats.hugging_face.common_keys import Defaults, n_layers
from llamacy.formats.hugging_face.family import ExpertNames, Family, Mixture
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

NAMES: Final = ("nomic-bert", "nomic-bert-moe")

_OUTSIDE: Final = {
    "model.embeddings.token_type_embeddings": "token_types",
    "model.emb_ln": "token_embd_norm",
}
_NORMS: Final = frozenset({"token_embd_norm", "attn_output_norm", "layer_output_norm"})
_DENSE: Final = Family(
    architecture="nomic-bert",
    layer={
        "attn.Wqkv": "attn_qkv",
        "attn.out_proj": "attn_output",
        "norm1": "attn_output_norm",
        "mlp.fc12": "ffn_gate",
        "mlp.fc11": "ffn_up",
        "mlp.fc2": "ffn_down",
        "norm2": "layer_output_norm",
    },
    outside=_OUTSIDE,
    renamed=encoders.also_within(encoders.FLASH_BERT, "nomic_bert", "bert"),
    without=frozenset({"output_norm", "output"}),
    idle=("model.pooler.", "cls."),
    eps="layer_norm_eps",
    biased=frozenset({"attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}),
    bias_keys={
        "qkv_proj_bias": ("attn_qkv", "attn_output"),
        "mlp_fc1_bias": ("ffn_gate", "ffn_up"),
        "mlp_fc2_bias": ("ffn_down",),
    },
    always_biased=_NORMS,
    activations=("silu", "swish", "swiglu"),
    fixed_flags=dict.fromkeys(
        ("prenorm", "parallel_block", "rotary_emb_interleaved", "use_rms_norm"), False
    ),
    fixed={"rotary_emb_fraction": 1.0},
    refused=("rotary_emb_scale_base",),
)
_SPARSE: Final = replace(
    _DENSE,
    architecture="nomic-bert-moe",
    layer={
        "attn.Wqkv": "attn_qkv",
        "attn.out_proj": "attn_output",
        "norm1": "attn_output_norm",
        "mlp.router.layer": "ffn_gate_inp",
        "mlp.fc1": "ffn_up",
        "mlp.fc2": "ffn_down",
        "mlp.experts.bias": "ffn_token_types",
        "norm2": "layer_output_norm",
    },
    forms={"ffn_token_types": "by_type"},
    biased=_DENSE.biased - {"ffn_gate"},
    bias_keys={**_DENSE.bias_keys, "mlp_fc1_bias": ("ffn_up",)},
    mixture=Mixture(
        names=(ExpertNames("mlp.experts.mlp", "", "w1", "w2"),),
        is_flat=True,
        normalized="moe_normalize_expert_weights",
    ),
    activations=("gelu",),
    dense=_DENSE,
)
_SCORER: Final = replace(
    _DENSE,
    outside={
        **_OUTSIDE,
        "model.pooler.dense": "cls",
        "classifier": encoders.SCORES,
    },
    idle=("cls.",),
    always_biased=_NORMS | {"cls", encoders.SCORES},
)

FAMILIES: Final[Mapping[str, Family]] = {
    "NomicBertModel": _SPARSE,
    "NomicBertForSequenceClassification": _SCORER,
}
"""The families of this file by the names of their classes."""

SAME_CLASSES: Final = {
    "NomicBertForMaskedLM": "NomicBertModel",
    "NomicBertForPreTraining": "NomicBertModel",
}
"""Classes that guess hidden words, and that of the encoder within."""

CLASSIFIERS: Final = {"NomicBertForSequenceClassification": "NomicBertModel"}
"""The class that scores texts, and that of the encoder within."""

MODEL_TYPES: Final = {"nomic_bert": "NomicBertModel"}
"""Classes by `model_type`."""

_NAMES_OF_NOMIC: Final = {
    "n_embd": "hidden_size",
    "n_inner": "intermediate_size",
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_positions": "max_position_embeddings",
    "layer_norm_epsilon": "layer_norm_eps",
    "activation_function": "hidden_act",
    "rotary_emb_base": "rope_theta",
}
_DEFAULTS: Final[Defaults] = {
    "vocab_size": 30528,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "head_dim": None,
    "rope_theta": 1000.0,
    "rope_parameters": None,
    "rope_scaling": None,
    "tie_word_embeddings": True,
    "quantization_config": None,
    **dict.fromkeys(_NAMES_OF_NOMIC),
    "max_trained_positions": 2048,
    "qkv_proj_bias": False,
    "mlp_fc1_bias": False,
    "mlp_fc2_bias": False,
    "prenorm": False,
    "parallel_block": False,
    "use_rms_norm": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "moe_every_n_layers": None,
    "moe_top_k": 1,
    "num_experts": None,
    "num_shared_experts": 0,
    "expert_choice_router": False,
    "moe_normalize_expert_weights": False,
    **encoders.OF_SCORES,
}
DEFAULTS: Final[Mapping[str, Defaults]] = dict.fromkeys(FAMILIES, _DEFAULTS)
"""Keys and defaults of the classes: see `classes`."""


def with_computed_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Return a class's keys with usual names, and the layers that have experts.

    Nomic's code stretches rotations of texts longer than those of the training; here
    they are too long.
    """
    is_of_nomic = values["n_embd"] is not None
    for theirs, ours in _NAMES_OF_NOMIC.items():
        found = values.pop(theirs)
        if found is not None:
            values[ours] = found
    trained = values.pop("max_trained_positions")
    length = values["max_position_embeddings"]
    if is_of_nomic and type(trained) is int and type(length) is int:
        values["max_position_embeddings"] = min(trained, length)
    period = values["moe_every_n_layers"]
    values["has_experts"] = bool(period)
    values["num_experts_per_tok"] = values.pop("moe_top_k")
    if values["has_experts"] and type(period) is int:
        values["expert_layers"] = [
            layer % period == 1 for layer in range(n_layers(values))
        ]
    return values


def add_keys(config: JsonObject, architecture: str, metadata: Metadata) -> None:
    """Add the keys that no other family has.

    Raises
    ------
    FormatError
        A value is wrong.
    UnsupportedError
        Experts that all tokens go through, or that choose their tokens.
    """
    encoders.add_keys(config, architecture, metadata)
    if not config.flag("has_experts"):
        return
    if n_shared := config.get("num_shared_experts"):
        config.refuse("num_shared_experts", 0, n_shared)
    if config.flag("expert_choice_router"):
        config.refuse("expert_choice_router", False, True)
    period = config.integer("moe_every_n_layers", 2, MAX_LAYERS)
    metadata.integer(f"{architecture}.moe_every_n_layers", period)


def lacked_parts(config: JsonObject) -> tuple[frozenset[str], ...]:
    """Name the parts that each layer lacks, besides those that experts stand for."""
    of_experts = frozenset({"ffn_token_types"})
    none: frozenset[str] = frozenset()
    are_sparse = config.items("expert_layers")
    if not are_sparse:
        return encoders.lacked_parts(config)
    return tuple(none if is_sparse else of_experts for is_sparse in are_sparse)


with_sizes = encoders.with_sizes
