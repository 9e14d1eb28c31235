"""From config.json to the metadata that a GGUF file of the same model would have."""

from __future__ import annotations

from typing import NamedTuple

from llamacy.formats.hugging_face.families import FAMILIES
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.mixture import ExpertSizes, add_experts
from llamacy.formats.hugging_face.rope import Divisors, add_rope
from llamacy.formats.hugging_face.settings import add_settings
from llamacy.formats.hugging_face.sizes import Sizes, read_sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata


class Config(NamedTuple):
    """A model, as config.json describes it.

    Attributes
    ----------
    family : Family
        Its family.
    sizes : Sizes
        Its sizes.
    experts : ExpertSizes or None
        Sizes of its mixture of experts; None for a dense model.
    metadata : Metadata
        GGUF's keys, except those of the vocabulary.
    is_tied : bool
        Whether the embeddings serve as the output matrix.
    biased : list of str
        Parts that must have a bias in each layer.
    rope_divisors : Divisors
        Tensors that divide the frequencies.
    """

    family: Family
    sizes: Sizes
    experts: ExpertSizes | None
    metadata: Metadata
    is_tied: bool
    biased: list[str]
    rope_divisors: Divisors


def read_config(config: JsonObject, name: str) -> Config:
    """Read and check config.json.

    Parameters
    ----------
    config : JsonObject
        The file's object.
    name : str
        The model's name.

    Raises
    ------
    FormatError
        A value is missing or wrong.
    UnsupportedError
        An unknown family, way of quantising, activation or kind of RoPE scaling.
    """
    family = _find_family(config)
    _check_quantization(config, family)
    _check_activation(config, family)
    sizes = read_sizes(config)
    metadata = Metadata()
    metadata.text("general.architecture", family.architecture)
    metadata.text("general.type", "model")
    metadata.text("general.name", name)
    _add_sizes(config, sizes, family.architecture, metadata)
    experts = add_experts(config, family, sizes, metadata)
    divisors = add_rope(config, family, sizes, metadata)
    add_settings(config, family, sizes, metadata)
    return Config(
        family,
        sizes,
        experts,
        metadata,
        config.flag("tie_word_embeddings", family.is_tied),
        _biased(config),
        divisors,
    )


def _find_family(config: JsonObject) -> Family:
    names = config.items("architectures")
    known = f"one of {', '.join(FAMILIES)}"
    if len(names) != 1 or not isinstance(names[0], str):
        config.fail("architectures", f"an array of one name, {known}", names)
    if names[0] not in FAMILIES:
        config.refuse("architectures", known, names[0])
    return FAMILIES[names[0]]


def _check_quantization(config: JsonObject, family: Family) -> None:
    """Refuse weights that are not floats, except gpt-oss's experts.

    The names of their tensors say whether these are in MXFP4.
    """
    found = config.child("quantization_config")
    if found is None:
        return
    method, wanted = found.get("quant_method"), "weights that are floats"
    if family.mixture is not None and family.mixture.is_turned:
        if method == "mxfp4":
            return
        wanted += ", or mxfp4"
    config.refuse("quantization_config", wanted, method)


def _check_activation(config: JsonObject, family: Family) -> None:
    key = "hidden_activation" if "hidden_activation" in config else "hidden_act"
    found = config.text(key, family.activations[0])
    if found not in family.activations:
        config.refuse(key, family.activations[0], found)


def _biased(config: JsonObject) -> list[str]:
    parts = []
    if config.flag("attention_bias", False):
        parts += ["attn_q", "attn_k", "attn_v", "attn_output"]
    if config.flag("mlp_bias", False):
        parts += ["ffn_gate", "ffn_up", "ffn_down"]
    return parts


def _add_sizes(
    config: JsonObject, sizes: Sizes, prefix: str, metadata: Metadata
) -> None:
    metadata.integer(f"{prefix}.block_count", sizes.n_layer)
    metadata.integer(f"{prefix}.context_length", sizes.n_ctx_train)
    metadata.integer(f"{prefix}.embedding_length", sizes.n_embd)
    for key, numbers in (
        ("feed_forward_length", sizes.n_ff),
        ("attention.head_count", sizes.n_head),
        ("attention.head_count_kv", sizes.n_head_kv),
    ):
        if len(set(numbers)) == 1:
            metadata.integer(f"{prefix}.{key}", numbers[0])
        else:
            metadata.integers(f"{prefix}.{key}", numbers)
    metadata.integer(f"{prefix}.attention.key_length", sizes.head_dim)
    metadata.integer(f"{prefix}.attention.value_length", sizes.head_dim)
    metadata.integer(f"{prefix}.vocab_size", sizes.n_vocab)
    # no float32 is below the least; more than 1 cannot be meant
    eps = config.real("rms_norm_eps", 1e-37, 1.0)
    metadata.real(f"{prefix}.attention.layer_norm_rms_epsilon", eps)
