"""What a model is: the hyperparameters every layer above the formats works from.

The names are ggml's. A format fills a :class:`ModelConfig` in; an architecture
reads it; nothing here knows where the numbers came from.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RopeConfig:
    """Rotary position embedding (Su et al. 2021, arXiv:2104.09864) and its scaling.

    Attributes
    ----------
    n_dims : leading dimensions of each head that are rotated.
    freq_base : base of the geometric series of frequencies.
    scaling : ``"none"``, ``"linear"`` or ``"yarn"`` (Peng et al. 2023,
        arXiv:2309.00071).
    factor : context extension factor of the scaling, 1.0 for none.
    n_ctx_orig : tokens of context the model was trained on before scaling.
    attn_factor : multiplies the rotated vectors' magnitude.
    ext_factor : YaRN's mix of extrapolation, 1.0 where YaRN is used.
    beta_fast, beta_slow : YaRN's correction range, in rotations.
    is_range_rounded : whether that range begins and ends at whole pairs of dimensions.
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
    is_range_rounded: bool = True


@dataclass(frozen=True, slots=True)
class ExpertConfig:
    """A mixture of experts in place of each layer's feed-forward network.

    Attributes
    ----------
    n_expert, n_used : experts of a layer, and how many of them a token goes through.
    n_ff : width of one expert, or 0 where the family's rule is meant.
    n_ff_shared : width of the expert that all tokens go through, or 0 likewise.
    """

    n_expert: int
    n_used: int
    n_ff: int = 0
    n_ff_shared: int = 0


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Hyperparameters of a transformer, in ggml's vocabulary.

    Attributes
    ----------
    architecture : the family, as the format names it (``"llama"``).
    name : the model's own name, or ``""``.
    n_layer, n_embd, n_head, n_head_kv, n_ff, n_vocab : the sizes.
    head_dim : dimensions of one attention head, for keys and values alike.
    n_ctx_train : tokens of context the model was made for.
    norm_eps : added to the mean square in RMS norms.
    rope : position embedding.
    experts : the mixture of experts, or None.
    """

    architecture: str
    name: str
    n_layer: int
    n_embd: int
    n_head: int
    n_head_kv: int
    head_dim: int
    n_ff: int
    n_vocab: int
    n_ctx_train: int
    norm_eps: float
    rope: RopeConfig
    experts: ExpertConfig | None = None
