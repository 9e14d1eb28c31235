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
    scaling : ``"none"``, ``"linear"``, ``"yarn"`` (Peng et al. 2023,
        arXiv:2309.00071) or ``"longrope"``, whose factors are among the weights.
    factor : context extension factor of the scaling, 1.0 for none.
    n_ctx_orig : tokens of context the model was trained on before scaling.
    attn_factor : multiplies the rotated vectors' magnitude.
    ext_factor : YaRN's mix of extrapolation, 1.0 where YaRN is used.
    beta_fast, beta_slow : YaRN's correction range, in rotations.
    local_freq_base : base in layers with a window, or None where the family's rule is
        meant.
    is_finetuned : whether the model was trained with the scaling; in Granite's files,
        whether it was trained with positions at all.
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
    local_freq_base: float | None = None
    is_finetuned: bool = True
    is_range_rounded: bool = True


@dataclass(frozen=True, slots=True)
class ExpertConfig:
    """A mixture of experts in place of each layer's feed-forward network.

    Attributes
    ----------
    n_expert, n_used : experts of a layer, and how many of them a token goes through.
    n_ff : width of one expert, or 0 where the family's rule is meant.
    n_ff_shared : width of the expert that all tokens go through, or 0 likewise.
    is_normalized : whether the weights of a token's experts have the sum 1; None where
        the family's rule is meant.
    """

    n_expert: int
    n_used: int
    n_ff: int = 0
    n_ff_shared: int = 0
    is_normalized: bool | None = None


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
    n_ctx : tokens of context it is to run with; 0 is what it was made for.
    window : tokens that a layer's attention sees, its own among them; None for all.
    windowed_layers : whether each layer has the window; None for the family's rule.
    attention_scale : what scores are multiplied with, or None for the family's rule.
    attention_softcap, logit_softcap : bounds of scores and logits, or None.
    embedding_scale, residual_scale : what embeddings, and the results of attention and
        feed-forward networks, are multiplied with.
    logit_scale : what logits are divided by.
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
    n_ctx: int = 0
    window: int | None = None
    windowed_layers: tuple[bool, ...] | None = None
    attention_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0
    experts: ExpertConfig | None = None

    @property
    def is_long_context(self) -> bool:
        """Whether it is to run with more context than it was first trained for."""
        return (self.n_ctx or self.n_ctx_train) > self.rope.n_ctx_orig
