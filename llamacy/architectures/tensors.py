"""The tensors that a model is made of: their specs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from llamacy.config import LayerConfig, ModelConfig, family_rules


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """The requirements that a tensor must meet.

    Attributes
    ----------
    shape : tuple of int
        Sizes, slowest first.
    is_required : bool
        Whether the file must have the tensor.
    is_divisor : bool
        Whether other values are divided by the tensor's.
    parts : tuple of (str, int)
        Names and numbers of rows of the matrices that are stacked in the tensor; () if
        it is one matrix.
    n_head : int
        Heads, each of which has rows of the two parts, (n_head, n, n_in), those of the
        first as columns; 0 if rows of a part follow each other.
    names : tuple of str
        Names by which a model knows the tensor; () if it is the one in the file.
    is_flat : bool
        Whether its rows are used as one vector.
    is_constant : bool
        Whether a forward pass is recorded with its value.
    is_mapped : bool
        Whether it stays in the file, for single rows to be looked up.
    is_unused : bool
        Whether files may have it, and nothing reads it.
    other_shape : tuple of int
        A shape that files may have it in instead; () for none.
    """

    shape: tuple[int, ...]
    is_required: bool
    is_divisor: bool = False
    parts: tuple[tuple[str, int], ...] = ()
    n_head: int = 0
    names: tuple[str, ...] = ()
    is_flat: bool = False
    is_constant: bool = False
    is_mapped: bool = False
    is_unused: bool = False
    other_shape: tuple[int, ...] = ()

    def within(self, prefix: str) -> TensorSpec:
        """Return the spec with a prefix before its names, and those of its parts."""
        parts = tuple((prefix + name, n) for name, n in self.parts)
        names = tuple(prefix + name for name in self.names)
        return replace(self, parts=parts, names=names)


Specs: TypeAlias = dict[str, TensorSpec]
"""Specs by name, `"attn_q.weight"` in a layer."""


def required(*shape: int) -> TensorSpec:
    """Return the spec of a tensor that must be there."""
    return TensorSpec(shape, True)


def optional(*shape: int) -> TensorSpec:
    """Return the spec of a tensor that may be missing."""
    return TensorSpec(shape, False)


def divisors(*shape: int, is_required: bool = False) -> TensorSpec:
    """Return the spec of a tensor that other values are divided by."""
    return TensorSpec(shape, is_required, is_divisor=True)


def mapped_names(specs: Mapping[str, TensorSpec]) -> list[str]:
    """Name the tensors that stay in the file."""
    return [name for name, spec in specs.items() if spec.is_mapped]


def all_optional(specs: Mapping[str, TensorSpec]) -> Specs:
    """Return the specs of tensors that may be missing."""
    return {name: replace(spec, is_required=False) for name, spec in specs.items()}


def unused(specs: Mapping[str, TensorSpec]) -> Specs:
    """Return the specs of tensors that files may have, and that nothing reads."""
    return {
        name: replace(spec, is_required=False, is_unused=True)
        for name, spec in specs.items()
    }


def stacked(n_in: int, **n_rows: int) -> TensorSpec:
    """Return the spec of a matrix that holds those named, one below the other."""
    parts = tuple((f"{name}.weight", n) for name, n in n_rows.items())
    return TensorSpec((sum(n_rows.values()), n_in), True, parts=parts)


def layer_norm_tensors(config: ModelConfig, *names: str) -> Specs:
    """Return the specs of norms over a whole row that have biases."""
    return {
        f"{name}.{suffix}": required(config.n_embd)
        for name in names
        for suffix in ("weight", "bias")
    }


def required_biases(matrices: Mapping[str, TensorSpec]) -> Specs:
    """Return the specs of biases that come with these matrices."""
    return {
        name.replace(".weight", ".bias"): required(spec.shape[0])
        for name, spec in matrices.items()
    }


def norm_tensors(config: ModelConfig, *names: str) -> Specs:
    """Return the specs of norms over a whole row."""
    return {f"{name}.weight": required(config.n_embd) for name in names}


def optional_biases(matrices: Mapping[str, TensorSpec]) -> Specs:
    """Return the specs of biases that may come with these matrices."""
    return all_optional(required_biases(matrices))


def model_tensors(
    config: ModelConfig, of_layer: Callable[[ModelConfig, LayerConfig], Specs]
) -> Specs:
    """Return the specs of a model's tensors.

    Parameters
    ----------
    config : ModelConfig
        The model.
    of_layer : callable
        Given the model and a layer, returns the specs of that layer's tensors by their
        names in a layer.
    """
    is_long = config.rope.scaling == "longrope"
    factors = divisors(config.rope.n_dims // 2, is_required=is_long)
    specs = {
        "token_embd.weight": required(config.n_vocab, config.n_embd),
        "output_norm.weight": TensorSpec(
            (config.n_embd,), family_rules(config.architecture).is_causal
        ),
        "output.weight": TensorSpec(
            (config.n_vocab, config.n_embd), False, is_unused=not config.is_causal
        ),
    }
    if config.n_token_types:
        types = optional(config.n_token_types, config.n_embd)
        specs["token_types.weight"] = types
    if config.rope.n_dims:
        specs |= {
            "rope_freqs.weight": divisors(config.rope.n_dims // 2),
            "rope_factors_long.weight": factors,
            "rope_factors_short.weight": factors,
        }
    for number, layer in enumerate(config.layers):
        prefix = f"blk.{number}."
        for name, spec in of_layer(config, layer).items():
            specs[prefix + name] = spec.within(prefix)
    return specs
