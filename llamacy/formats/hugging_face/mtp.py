"""MTP heads of Qwen 3.5 and Qwen3-Next, which their files have as `mtp.*`.

In GGUF a head is the layer after the others: one that attends, and a few tensors more.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final, TypeVar

from llamacy.formats.hugging_face import delta_rule
from llamacy.formats.hugging_face.config import Config
from llamacy.formats.hugging_face.layer_names import ATTENTION

_PARTS: Final = {
    "fc": "nextn.eh_proj",
    "pre_fc_norm_embedding": "nextn.enorm",
    "pre_fc_norm_hidden": "nextn.hnorm",
    "norm": "nextn.shared_head_norm",
}
_OWN_PARTS: Final = {"embed_tokens": "nextn.embed_tokens"}  # of some heads
_PREFIXES: Final = ("mtp.", "model.mtp.")
_IN_LAYER, _NEXT_LAYER = "layers.0.", "layers.1."

SourceT = TypeVar("SourceT")


def with_head(
    tensors: Mapping[str, SourceT], config: Config
) -> tuple[dict[str, SourceT], Config]:
    """Return tensors and configuration with a head as the last of the layers.

    They stay as they are where there is none, or not one alone.

    Parameters
    ----------
    tensors : mapping of str to Source
        Tensors by the names of most families.
    config : Config
        The translated config.json; the keys of a head are added to its metadata.
    """
    head = {
        name.removeprefix(prefix): name
        for prefix in _PREFIXES
        for name in tensors
        if name.startswith(prefix)
    }
    if config.family.architecture not in delta_rule.NAMES or not _is_one(head):
        return dict(tensors), config
    layer = f"model.layers.{config.sizes.n_layer}."
    names = {name: layer + own.removeprefix(_IN_LAYER) for own, name in head.items()}
    named = {names.get(name, name): tensor for name, tensor in tensors.items()}
    parts = {
        name: part
        for name, part in (_PARTS | _OWN_PARTS).items()
        if f"{name}.weight" in head
    }
    _add_keys(config)
    return named, _with_layer(config, parts)


def _is_one(head: Container[str]) -> bool:
    """Whether tensors are those of a head of one layer, which attends."""
    needed = [*_PARTS, *(f"{_IN_LAYER}{name}" for name in ATTENTION)]
    is_whole = all(f"{name}.weight" in head for name in needed)
    return is_whole and f"{_NEXT_LAYER}input_layernorm.weight" not in head


def _with_layer(config: Config, parts: Mapping[str, str]) -> Config:
    """Return the configuration with one layer more, which attends."""
    sizes, experts = config.sizes, config.experts
    of_rule = next(lacked for lacked in config.lacked if "attn_q" not in lacked)
    return config._replace(
        sizes=sizes._replace(
            n_layer=sizes.n_layer + 1,
            n_head=(*sizes.n_head, sizes.n_head[-1]),
            n_head_kv=(*sizes.n_head_kv, sizes.n_head_kv[-1]),
            n_ff=(*sizes.n_ff, sizes.n_ff[-1]),
        ),
        experts=experts
        and experts._replace(
            n_ff=(*experts.n_ff, experts.n_ff[-1]),
            are_sparse=(*experts.are_sparse, experts.are_sparse[-1]),
        ),
        lacked=(*config.lacked, of_rule),
        parts=config.parts.union(parts.values()),
        of_head=parts,
    )


def _add_keys(config: Config) -> None:
    prefix, n_layer = config.family.architecture, config.sizes.n_layer
    flags = f"{prefix}.attention.recurrent_layers"
    metadata = config.metadata
    metadata.integer(f"{prefix}.block_count", n_layer + 1)
    metadata.integer(f"{prefix}.nextn_predict_layers", 1)
    metadata.flags(flags, [*metadata.values[flags], False])
