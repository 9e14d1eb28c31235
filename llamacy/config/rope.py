"""Rotary position embedding, as a file and a family describe it."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embedding (Su et al. 2021, arXiv:2104.09864) and its scaling.

    Attributes
    ----------
    n_dims : int
        Leading dimensions of each head that are rotated.
    freq_base : float
        Base of the geometric series of frequencies.
    scaling : str
        `"none"`, `"linear"`, `"yarn"` (Peng et al. 2023, arXiv:2309.00071),
        `"longrope"`, whose factors are among the weights, or `"dynamic"`, which
        depends on the length of the text.
    factor : float
        By which the scaling extends the context; 1.0 for no scaling.
    n_ctx_orig : int
        Tokens of context the model was trained on before scaling.
    attn_factor : float
        Multiplies the magnitude of the rotated vectors.
    ext_factor : float
        YaRN's mix of extrapolation, 1.0 where YaRN is used.
    beta_fast, beta_slow : float
        YaRN's correction range, in rotations.
    local_freq_base : float or None
        The file's base for layers with a window; None for the family's default.
    is_finetuned : bool
        Whether the model was trained with the scaling; in Granite's files, whether it
        was trained with positions at all.
    is_range_rounded : bool
        Whether YaRN's range begins and ends at whole pairs of dimensions.
    query_growth : float
        Of the magnitude of queries past `n_ctx_orig`: at position p they are multiplied
        by 1 + query_growth * ln(1 + floor(p / n_ctx_orig)).
    has_sections : bool
        Whether sections of a head's rotations follow positions of their own in images;
        in texts all have the same.
    is_neox : bool
        Whether pairs are dimensions i and i + n_dims / 2, in the order of GPT-NeoX
        (Black et al. 2022, arXiv:2204.06745), instead of 2i and 2i + 1.
    has_factors : bool
        Whether frequencies are divided by the factors among the weights, if there are
        any.
    """

    n_dims: int
    freq_base: float = 10000.0
    scaling: str = "none"
    factor: float = 1.0
    n_ctx_orig: int = 0
    attn_factor: float = 1.0
    ext_factor: float = 0.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    local_freq_base: float | None = None
    is_finetuned: bool = True
    is_range_rounded: bool = True
    query_growth: float = 0.0
    has_sections: bool = False
    is_neox: bool = False
    has_factors: bool = True

    @property
    def of_keys(self) -> RopeConfig:
        """The rotations of keys, which do not grow with their positions."""
        return replace(self, query_growth=0.0) if self.query_growth else self
