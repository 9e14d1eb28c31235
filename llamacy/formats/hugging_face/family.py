"""The description of a model family in Hugging Face's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias


class ExpertNames(NamedTuple):
    """Names of a layer's experts: `model.layers.N.module.3.gate.weight`.

    `gate` is `""` where they have none.
    """

    module: str
    gate: str
    up: str
    down: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """How a family has its experts.

    Each may be a module of its own, with matrices named by `ExpertNames`; or all are
    merged into `gate_up_proj`, (n_expert, 2 n_ff, n_embd) with the rows of gate before
    those of up, or into `up_proj` where there is no gate, and into `down_proj`,
    (n_expert, n_embd, n_ff).

    Attributes
    ----------
    names : tuple of ExpertNames
        Names in files of one kind or another; no file has two.
    may_have_columns : bool
        Whether each of the merged tensors may have columns for rows.
    merged : mapping of str to str
        Names of the merged tensors, without the layer, by those that they have in some
        files instead.
    is_turned : bool
        Whether they are merged in gpt-oss's form: with columns for rows, those of gate
        and up by turns, and with biases; or in MXFP4, with rows for rows.
    width : str
        Key in config.json of the width of an expert, which GGUF has a key for too; `""`
        if an expert is as wide as a dense model's feed-forward network.
    shared_width : str
        Key of the width of the expert that all tokens go through; `""` without one.
    latent_width : str
        Key of the width of rows as experts read and make them; `""` for rows as they
        are.
    normalized : str
        Key that says whether the weights of a token's experts sum to 1; `""` if
        config.json cannot say.
    scale : str
        Key of the factor on these weights; `""` without one.
    gating : str
        Key that says what makes gates of scores; `""` if the family does.
    jitter : str
        Key of the constant of a sparse mixer; `""` without one.
    numbers : mapping of str to str
        Keys of whole numbers, in GGUF by those in config.json.
    switch : str
        Key that says whether a model of the family has experts; `""` if all have.
    is_scaled : bool
        Whether each expert has a factor of all that it makes, adapters included.
    has_network : bool
        Whether layers have a network beside their experts.
    is_flat : bool
        Whether the experts' matrices lie below each other in one, `down` as columns.
    """

    names: tuple[ExpertNames, ...]
    may_have_columns: bool = False
    merged: Mapping[str, str] = field(default_factory=dict)
    is_turned: bool = False
    width: str = ""
    shared_width: str = ""
    latent_width: str = ""
    normalized: str = ""
    scale: str = ""
    gating: str = ""
    jitter: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)
    switch: str = ""
    is_scaled: bool = False
    has_network: bool = False
    is_flat: bool = False

    @property
    def is_gated(self) -> bool:
        """Whether experts have a gate."""
        return all(names.gate for names in self.names)


DeltaRuleForm: TypeAlias = Literal[
    "values", "keys_and_values", "value_columns", "decays", "by_key_head"
]
"""How a tensor of a delta rule is stored, by heads of values that share one of keys.

`"values"` has rows of such heads, `"keys_and_values"` those of queries and keys before
them, and `"value_columns"` columns of heads. `"decays"` has logarithms of decays.
`"by_key_head"` has for each head of keys its queries, it, and its heads of values and
gates: GGUF has the gates apart.
"""

Form: TypeAlias = (
    Literal["turned", "by_group", "squeezed", "bare", "last_rows", "by_type"]
    | Literal["decay", "rate", "column", "by_scan_group", "kernel"]
    | DeltaRuleForm
)
"""How a matrix is stored in a way of its own.

`"turned"` has its columns for rows. `"by_group"` has queries, keys and values by groups
of heads: those of queries, then the one of keys and the one of values that they share.
`"squeezed"` has one dimension more, of size 1, between its two; `"kernel"` may have it,
and GGUF has it. `"last_rows"` are positions, of which those of the context count, the
last ones. `"by_type"` is a vector, of which GGUF has a copy for each type of tokens.
Vectors, some with more dimensions of size 1, are `"decay"`, the logarithm of what GGUF
has as a negative column (or matrix, if it is one), `"rate"`, that of a positive one,
`"column"`, and `"by_scan_group"`, of which GGUF has a row for each group of a scan's
heads. GGUF has nothing after the name of a `"bare"` one.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One class of models of transformers.

    Facts that both of its formats leave out of files are in `llamacy.config.rules`, and
    the defaults of config.json in `llamacy.formats.hugging_face.classes`.

    Attributes
    ----------
    architecture : str
        Its name in `general.architecture`.
    layer : mapping of str to str
        Names of the parts of a layer, in GGUF by those in Hugging Face's files; see
        `mixture` for experts.
    recurrent : mapping of str to str
        Names of parts of recurrent layers, likewise, which are those of other parts in
        layers that attend.
    outside : mapping of str to str
        Names of parts outside the layers that not all families have, likewise.
    without : frozenset of str
        Parts outside the layers, by their GGUF names, that all other families have.
    idle : tuple of str
        Beginnings of names, as in most families, of tensors that only training needs.
    output_norm : str
        GGUF's name of the last norm.
    renamed : mapping of str to str
        Beginnings of names, `"transformer.h."`, and what the same names begin with in
        most families, `"model.layers."`, as in `layer` and `outside`.
    aliases : mapping of str to str
        Names of parts as in `layer`, by those that they have in some files instead.
    stacked : mapping of str to str
        GGUF names of the tensors that hold the weights of all heads, by the names of
        modules of which a layer has one for each head, `"self_attn.q_layernorm.norms"`.
    present : mapping of str to (str, bool)
        Parts, by their GGUF names, that are there only if a flag of config.json has
        this value.
    forms : mapping of str to Form
        The forms of matrices that GGUF has otherwise, by their GGUF names.
    halves : mapping of str to str
        Matrices that hold another one above their own rows, by their GGUF names, and
        the name of the other: GGUF has them apart.
    images : tuple of str
        Beginnings of names of the parts for images and sound, which are left out; ()
        for a family that sees none.
    layer_constants : mapping of str to str
        GGUF's keys of numbers, one a layer, by the names of the tensors in a layer that
        hold them.
    eps : str
        Key in config.json of the number that norms add.
    biased : frozenset of str
        The parts, by their GGUF names, that have a bias if config.json says so.
    bias_keys : mapping of str to tuple of str
        Flags in config.json that give other parts a bias than they do in most families,
        and these parts.
    always_biased : frozenset of str
        The parts that always have one.
    is_interleaved : bool
        Whether GGUF has side by side the rows of Q and K that are rotated together,
        which in Hugging Face's files are half a head apart.
    norm_offset : float
        The offset that GGUF files have added to the weights of norms.
    plain_norms : frozenset of str
        Norms without it, by their GGUF names.
    mixture : Mixture or None
        How it has its experts; None for a dense family.
    dense : Family or None
        The row of its models without experts, if their networks have other names.
    both_ways : Family or None
        The row of its models with `use_bidirectional_attention`; None for a family that
        has none.
    is_causal : bool
        Whether rows see nothing after them, unless config.json says otherwise.
    activations : tuple of str
        Names of the one activation of the feed-forward part, the usual one first.
    names_activation : bool
        Whether there is more than one, and GGUF has a key for the name of each.
    exact_gelu : str
        Another activation, GELU with erf, for which GGUF has a key; `""` for none.
    has_partial_rope : bool
        Whether config.json may say that only some dimensions of heads are rotated.
    has_alpha : bool
        Whether dynamic RoPE may have a constant that multiplies its base.
    has_proportional_rope : bool
        Whether rotations of layers without a window may be proportional: GGUF has
        divisors of their frequencies.
    has_longrope : bool
        Whether LongRoPE's factors may be among its tensors.
    magnitudes : tuple of str
        Keys of the magnitude of what LongRoPE has rotated, in short texts and in long
        ones; () for the one that follows from the sizes of contexts.
    sections : tuple of int
        Pairs of dimensions whose rotations follow a place's time, height and width in
        images, where config.json does not say; () for a family that sees none.
    query_growth : str
        Key among those of rotations that says how queries grow with their positions;
        `""` without one.
    bases : str
        Key of the bases of frequencies, one a layer, and 0 for a layer without
        positions; `""` where all layers have one base.
    constants : mapping of str to str
        Keys of constants, in GGUF by those in config.json.
    scalar : str
        Key in config.json of the number whose root divides the scores; `""` without
        one.
    flags : mapping of str to str
        Keys of flags, in GGUF by those in config.json.
    fixed_flags : mapping of str to bool
        Values that flags must have: GGUF has no key for them.
    fixed : mapping of str to float
        Values that constants must have if they are there, by their keys: GGUF has no
        key for them.
    refused : tuple of str
        Keys of constants that must not be there: GGUF has no key for them.
    """

    architecture: str
    layer: Mapping[str, str]
    recurrent: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    idle: tuple[str, ...] = ()
    output_norm: str = "output_norm"
    renamed: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    stacked: Mapping[str, str] = field(default_factory=dict)
    present: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    forms: Mapping[str, Form] = field(default_factory=dict)
    halves: Mapping[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    layer_constants: Mapping[str, str] = field(default_factory=dict)
    eps: str = "rms_norm_eps"
    biased: frozenset[str] = frozenset()
    bias_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    always_biased: frozenset[str] = frozenset()
    is_interleaved: bool = False
    norm_offset: float = 0.0
    plain_norms: frozenset[str] = frozenset()
    mixture: Mixture | None = None
    dense: Family | None = None
    both_ways: Family | None = None
    is_causal: bool = True
    activations: tuple[str, ...] = ("silu", "swish")
    names_activation: bool = False
    exact_gelu: str = ""
    has_partial_rope: bool = False
    has_alpha: bool = False
    has_proportional_rope: bool = False
    has_longrope: bool = False
    magnitudes: tuple[str, ...] = ()
    sections: tuple[int, ...] = ()
    query_growth: str = ""
    bases: str = ""
    constants: Mapping[str, str] = field(default_factory=dict)
    scalar: str = ""
    flags: Mapping[str, str] = field(default_factory=dict)
    fixed_flags: Mapping[str, bool] = field(default_factory=dict)
    fixed: Mapping[str, float] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    def parts(self, *, is_recurrent: bool) -> Mapping[str, str]:
        """Return the names of a layer's parts, in GGUF by those in its files."""
        return {**self.layer, **self.recurrent} if is_recurrent else self.layer

    def offset_of(self, part: str) -> float:
        """Return what GGUF files have added to the weights of a part."""
        is_norm = part.endswith(("_norm", ".enorm", ".hnorm"))
        has_offset = is_norm and part not in self.plain_norms
        return self.norm_offset if has_offset else 0.0

    def usual_name(self, name: str) -> str:
        """Return the name that a tensor or module has in most families."""
        for start, usual in self.renamed.items():
            if f"{name}.".startswith(start):
                return (usual + f"{name}."[len(start) :]).removesuffix(".")
        return name

    def own_name(self, name: str) -> str:
        """Return the name in this family of one in most families."""
        for start, usual in self.renamed.items():
            if f"{name}.".startswith(usual):
                return (start + f"{name}."[len(usual) :]).removesuffix(".")
        return name
