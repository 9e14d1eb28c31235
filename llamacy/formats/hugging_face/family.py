"""What there is to say of a model family as Hugging Face has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class ExpertNames(NamedTuple):
    """Names of a layer's experts: ``model.layers.N.module.3.gate.weight``."""

    module: str
    gate: str
    up: str
    down: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """How a family has its experts.

    Each may be a module of its own, with matrices as :class:`ExpertNames` has them; or
    all are merged into ``gate_up_proj``, (n_expert, 2 n_ff, n_embd) with the rows of
    gate before those of up, and ``down_proj``, (n_expert, n_embd, n_ff).

    Attributes
    ----------
    names : in files of one kind or another; no file has two.
    is_turned : whether they are merged as gpt-oss has them: with columns for rows,
        those of gate and up by turns, and with biases; or in MXFP4, with rows for rows.
    width : key in config.json of the width of an expert, which GGUF has a key for too;
        "" if an expert is as wide as a dense model's feed-forward network.
    shared_width : key of the width of the expert that all tokens go through, if any.
    is_normalized : whether weights of a token's experts have the sum 1 where a GGUF
        file says nothing; None if config.json cannot say either.
    """

    names: tuple[ExpertNames, ...]
    is_turned: bool = False
    width: str = ""
    shared_width: str = ""
    is_normalized: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One class of models of transformers.

    Attributes
    ----------
    architecture : its name in ``general.architecture``.
    layer : names of the parts of a layer, in GGUF by those in Hugging Face's files;
        of experts see `mixture`.
    aliases : names that parts have in some files, by those in `layer`.
    biased : the parts, by their GGUF names, that may have a bias.
    is_interleaved : whether GGUF has side by side the rows of Q and K that are rotated
        together, which in Hugging Face's files are half a head apart.
    norm_offset : what GGUF files have added to the weights of norms.
    mixture : how it names its experts; None if it has none.
    is_tied : whether the embeddings serve as the output matrix, where nothing is said.
    activations : names of the one activation of the feed-forward part.
    freq_base : of the rotations, where nothing is said.
    local_freq_base : that of layers with a window; None for the same.
    is_range_rounded : whether YaRN's correction range begins and ends at whole pairs.
    has_longrope : whether LongRoPE's factors may be among its tensors.
    has_window : whether attention may be limited to a window.
    window_period : all but every so many-th layer have it; 0 stands for all.
    no_rope_period : every so many-th layer has no positions; 0 for none.
    constants : keys of constants, in GGUF by those in config.json.
    scalar : key in config.json of what scores are divided by the root of, if any.
    fixed : values that constants must have if they are there, by their keys: GGUF has
        no key for them.
    refused : keys of constants that must not be there: GGUF has none for them.
    """

    architecture: str
    layer: Mapping[str, str]
    aliases: Mapping[str, str] = field(default_factory=dict)
    biased: frozenset[str] = frozenset()
    is_interleaved: bool = False
    norm_offset: float = 0.0
    mixture: Mixture | None = None
    is_tied: bool = False
    activations: tuple[str, ...] = ("silu", "swish")
    freq_base: float = 10000.0
    local_freq_base: float | None = None
    is_range_rounded: bool = True
    has_longrope: bool = False
    has_window: bool = False
    window_period: int = 0
    no_rope_period: int = 0
    constants: Mapping[str, str] = field(default_factory=dict)
    scalar: str = ""
    fixed: Mapping[str, float] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
