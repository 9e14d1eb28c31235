"""From config.json to the metadata that a GGUF file of the same model would have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from llamacy.config import DeltaRuleConfig
from llamacy.formats.hugging_face import (
    bailing_hybrid,
    bidirectional,
    delta_rule,
    encoders,
    gemma4,
    jina_bert,
    kimi_delta,
    latent,
    lfm2,
    mamba,
    mamba2,
    modern_bert,
    nomic_bert,
)
from llamacy.formats.hugging_face.classes import MODEL_TYPES, SAME_CLASSES
from llamacy.formats.hugging_face.falcon_h1_multipliers import Factors, factors
from llamacy.formats.hugging_face.families import FAMILIES, OUTSIDE
from llamacy.formats.hugging_face.family import Family
from llamacy.formats.hugging_face.images import text_settings
from llamacy.formats.hugging_face.keys import CAUSAL, own_keys
from llamacy.formats.hugging_face.layer_names import QKV
from llamacy.formats.hugging_face.mixture import ExpertSizes, add_experts
from llamacy.formats.hugging_face.quantization import (
    Quantization,
    read_quantization,
)
from llamacy.formats.hugging_face.rope import add_rope
from llamacy.formats.hugging_face.rope_scaling import Divisors
from llamacy.formats.hugging_face.settings import add_settings
from llamacy.formats.hugging_face.sizes import Sizes, read_sizes
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata

_MOST_LETTERS: Final = 64  # of a name that is compared with others
_LIKENESS: Final = 0.7
_N_NEAR: Final = 3  # names shown
_NETWORK: Final = ("ffn_gate", "ffn_up", "ffn_down")
_HEADS: Final = re.compile(r"For(CausalLM|ConditionalGeneration)|(LMHead)?Model$")
_WINDOW: Final = "attention.sliding_window"
_BIAS_KEYS: Final = {
    "attention_bias": (*QKV, "attn_output"),
    "mlp_bias": _NETWORK,
    "use_bias": (*QKV, "attn_output", *_NETWORK),
    "use_qkv_bias": QKV,
}


class Special(Protocol):
    """A module about families whose layers are of several kinds."""

    def with_sizes(self, config: JsonObject) -> JsonObject:
        """Return config.json with the sizes of each layer, as others have them."""

    def add_keys(
        self, config: JsonObject, architecture: str, metadata: Metadata
    ) -> None:
        """Add the keys that no other family has."""

    def lacked_parts(self, config: JsonObject) -> tuple[frozenset[str], ...]:
        """Name the parts that each layer lacks, which files may have all the same."""


_SPECIAL: Final[Mapping[str, Special]] = {
    gemma4.NAME: gemma4,
    **dict.fromkeys(mamba.NAMES, mamba),
    **dict.fromkeys(mamba2.NAMES, mamba2),
    **dict.fromkeys(lfm2.NAMES, lfm2),
    **dict.fromkeys(delta_rule.NAMES, delta_rule),
    **dict.fromkeys(kimi_delta.NAMES, kimi_delta),
    **dict.fromkeys(bailing_hybrid.NAMES, bailing_hybrid),
    **dict.fromkeys(encoders.NAMES, encoders),
    **dict.fromkeys(bidirectional.NAMES, bidirectional),
    **dict.fromkeys(modern_bert.NAMES, modern_bert),
    **dict.fromkeys(nomic_bert.NAMES, nomic_bert),
    **dict.fromkeys(jina_bert.NAMES, jina_bert),
}


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
    biased : frozenset of str
        Parts that have a bias in each layer.
    rope_divisors : Divisors
        Tensors that divide the frequencies.
    parts : frozenset of str
        Parts of the family that the model has.
    lacked : tuple of frozenset of str
        Parts of these that single layers lack, and that files may have all the same.
    factors : mapping of str to float32, (1,) or (n_rows,)
        Multiply the rows of the matrices of these parts.
    delta_rule : DeltaRuleConfig or None
        Sizes of layers with a delta rule; None for other families.
    quantization : Quantization or None
        How the weights are quantised; None for floats, and for experts in MXFP4.
    of_head : mapping of str to str
        The names of parts that only the last layer has, an MTP head, in GGUF by those
        in its files; empty without such a layer.
    """

    family: Family
    sizes: Sizes
    experts: ExpertSizes | None
    metadata: Metadata
    is_tied: bool
    biased: frozenset[str]
    rope_divisors: Divisors
    parts: frozenset[str]
    lacked: tuple[frozenset[str], ...]
    factors: Mapping[str, Factors]
    delta_rule: DeltaRuleConfig | None
    quantization: Quantization | None
    of_head: Mapping[str, str] = MappingProxyType({})

    def parts_of(self, layer: int) -> Mapping[str, str]:
        """Return the names of a layer's parts, in GGUF by those in its files."""
        parts = self.family.parts(is_recurrent=not self.sizes.n_head_kv[layer])
        is_last = layer == self.sizes.n_layer - 1
        return {**parts, **self.of_head} if is_last else parts

    def have_part(self, part: str, layer: int) -> bool:
        """Whether a layer has a part, by its name in GGUF."""
        is_its = self.experts is None or self.experts.have_part(part, layer)
        return is_its and part in self.parts and part not in self.lacked[layer]


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
    class_name = _find_class(config)
    family = FAMILIES[class_name]
    if family.images:
        config, class_name = text_settings(config, class_name)
        family = FAMILIES[class_name]
    has_mxfp4 = family.mixture is not None and family.mixture.is_turned
    quantization = read_quantization(config, has_mxfp4=has_mxfp4)
    config = own_keys(config, class_name)
    special = _SPECIAL.get(family.architecture)
    if special is not None:
        config = special.with_sizes(config)
    if family.both_ways is not None and config.flag("use_bidirectional_attention"):
        family = family.both_ways
    if family.dense is not None and not config.flag("has_experts"):
        family = family.dense
    sizes = read_sizes(config)
    metadata = Metadata()
    metadata.text("general.architecture", family.architecture)
    metadata.text("general.type", "model")
    metadata.text("general.name", name)
    _add_sizes(config, family, sizes, metadata)
    _add_activation(config, family, metadata)
    experts = add_experts(config, family, sizes, metadata)
    divisors = add_rope(config, family, sizes, metadata)
    add_settings(config, family, sizes, metadata)
    _add_sight(config, family, metadata)
    if special is not None:
        special.add_keys(config, family.architecture, metadata)
    if encoders.SCORES in family.outside.values():
        encoders.add_classifier(config, family.architecture, metadata)
    none: frozenset[str] = frozenset()
    mixer = None
    if special is delta_rule:
        mixer = delta_rule.read_delta_rule(config, family.architecture)
    return Config(
        family=family,
        sizes=sizes,
        experts=experts,
        metadata=metadata,
        is_tied=config.flag("tie_word_embeddings"),
        biased=_biased(config, family),
        rope_divisors=divisors,
        parts=_parts(config, family),
        lacked=special.lacked_parts(config) if special else (none,) * sizes.n_layer,
        factors=factors(config),
        delta_rule=mixer,
        quantization=quantization,
    )


_ENCODERS: Final = frozenset("electra mpnet".split())
"""Values of `model_type` of families that write no text, and are not known here."""


def _find_class(config: JsonObject) -> str:
    """Return the name of the model's class, one of `FAMILIES`.

    `model_type` says it where `architectures` is missing, null or empty, or names the
    model without its output matrix.
    """
    found = config.items("architectures")
    names = [SAME_CLASSES.get(each, each) for each in found if isinstance(each, str)]
    known = _near("LlamaForCausalLM", ())
    if len(names) < len(found):
        config.fail("architectures", f"an array of names, {known}", found)
    for name in names:
        if name in FAMILIES:
            return jina_bert.own_class(str(name), config)
    model_type = config.get("model_type")
    by_type = MODEL_TYPES.get(model_type) if isinstance(model_type, str) else None
    if not names:
        if model_type is None:
            config.fail("architectures", f"an array of one name, {known}", names)
        if by_type is None:
            wanted = _near("llama", MODEL_TYPES, model_type)
            config.refuse("model_type", wanted, model_type)
        return by_type
    if by_type is not None:
        bare = f"{_HEADS.sub('', by_type)}Model"
        if names == [bare]:
            return by_type
    wanted = _near("LlamaForCausalLM", FAMILIES, *names)
    listed = ", ".join(names)
    if model_type in _ENCODERS:
        listed += ", an encoder, of which only the tokenizer can be used"
    config.refuse("architectures", wanted, listed)


def _near(usual: str, known: Iterable[str], *found: object) -> str:
    """Say which names are wanted: those near the one found, and where all are."""
    stems = {_HEADS.sub("", each): each for each in known}
    near = [
        stems[stem]
        for name in found
        if isinstance(name, str)
        for stem in get_close_matches(
            _HEADS.sub("", name[:_MOST_LETTERS]), stems, _N_NEAR, _LIKENESS
        )
    ]
    near = list(dict.fromkeys(near))[:_N_NEAR]
    examples = f"near it {', '.join(near)}" if near else f"such as {usual}"
    return f'one that the guide "Safetensors" lists, {examples}'


def _add_activation(config: JsonObject, family: Family, metadata: Metadata) -> None:
    """Check the activation, and add a key where it is not llama.cpp's."""
    key = "hidden_activation" if "hidden_activation" in config else "hidden_act"
    found = config.text(key, family.activations[0])
    if family.names_activation and found in family.activations[1:]:
        metadata.text(f"{family.architecture}.hidden_activation", found)
        return
    if family.exact_gelu and found == family.exact_gelu:
        metadata.text(f"{family.architecture}.hidden_activation", "gelu_erf")
        return
    if found not in family.activations:
        config.refuse(key, family.activations[0], found)


def _add_sight(config: JsonObject, family: Family, metadata: Metadata) -> None:
    """Say that rows see all of their text, if they do."""
    if family.is_causal and config.flag(CAUSAL, True):
        return
    if family.is_causal and f"{family.architecture}.{_WINDOW}" in metadata.values:
        config.refuse(CAUSAL, "true in a model with a window", False)
    metadata.flag(f"{family.architecture}.attention.causal", False)


def _biased(config: JsonObject, family: Family) -> frozenset[str]:
    """Name the parts that have a bias in each layer."""
    biased = set(family.always_biased)
    if not config.flag("qkv_bias", True):
        biased -= set(QKV)
    for key, parts in {**_BIAS_KEYS, **family.bias_keys}.items():
        known = (
            *family.layer.values(),
            *family.outside.values(),
            *OUTSIDE.values(),
        )
        parts = tuple(part for part in parts if part in known)
        if key in family.fixed_flags or not config.flag(key, False):
            continue
        if not family.biased.issuperset(parts):
            config.refuse(key, False, True)
        biased.update(parts)
    return frozenset(biased)


def _parts(config: JsonObject, family: Family) -> frozenset[str]:
    """Name the parts that the model has."""
    known = (family.layer, family.recurrent, family.outside)
    return frozenset(part for each in known for part in each.values()).difference(
        part
        for part, (key, value) in family.present.items()
        if config.flag(key, False) != value
    )


def _add_sizes(
    config: JsonObject, family: Family, sizes: Sizes, metadata: Metadata
) -> None:
    prefix = family.architecture
    of_keys = () if prefix in latent.ALIKE else (("head_count_kv", sizes.n_head_kv),)
    metadata.integer(f"{prefix}.block_count", sizes.n_layer)
    metadata.integer(f"{prefix}.context_length", sizes.n_ctx_train)
    metadata.integer(f"{prefix}.embedding_length", sizes.n_embd)
    for key, numbers in (
        ("feed_forward_length", sizes.n_ff),
        ("attention.head_count", sizes.n_head),
        *((f"attention.{key}", each) for key, each in of_keys),
    ):
        if len(set(numbers)) == 1:
            metadata.integer(f"{prefix}.{key}", numbers[0])
        else:
            metadata.integers(f"{prefix}.{key}", numbers)
    if prefix in latent.NAMES:
        latent.add_sizes(config, prefix, metadata)
    elif sizes.head_dim:
        metadata.integer(f"{prefix}.attention.key_length", sizes.head_dim)
        metadata.integer(f"{prefix}.attention.value_length", sizes.head_dim)
    metadata.integer(f"{prefix}.vocab_size", sizes.n_vocab)
    # no float32 is below the least; more than 1 cannot be meant
    has_rms_norm = "rms_norm_eps" in config
    eps = config.real("rms_norm_eps" if has_rms_norm else family.eps, 1e-37, 1.0)
    kind = "layer_norm_rms" if has_rms_norm else "layer_norm"
    metadata.real(f"{prefix}.attention.{kind}_epsilon", eps)
