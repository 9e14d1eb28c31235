"""One layer: how it mixes tokens, and its feed-forward network.

Layers of one model may differ in everything that is said here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

from llamacy.config.experts import ExpertConfig
from llamacy.config.rope import RopeConfig

GatedActivation = Literal["swiglu", "geglu", "geglu_erf", "clamped_swiglu"]
"""How a feed-forward network joins its two projections.

`"swiglu"` is silu(gate) * up and `"geglu"` gelu(gate) * up (Shazeer 2020,
arXiv:2002.05202), with tanh; `"geglu_erf"` is that with erf, for dense networks only.
`"clamped_swiglu"` is gpt-oss's (OpenAI 2025, arXiv:2508.10925), for experts only.
"""

UngatedActivation = Literal[
    "gelu", "gelu_erf", "gelu_quick", "silu", "relu", "relu_squared", "xielu"
]
"""The function between the two matrices of a network without a gate.

It is the operation of this name in `llamacy.ops.vocabulary`.
"""

Activation: TypeAlias = GatedActivation | UngatedActivation
"""The nonlinear part of a feed-forward network."""

KeyHead = Literal["division", "modulo"]
"""Which of n heads of keys one of m heads of values reads.

Head h reads h // (m / n), as its neighbours do, or h % n.
"""

_GATED: Final = get_args(GatedActivation)
_Attention = TypeVar("_Attention", bound="AttentionConfig")


@dataclass(frozen=True, slots=True)
class AttentionConfig:
    """Attention of one layer to keys and values of its own.

    Attributes
    ----------
    n_head : int
        Heads of queries.
    n_head_kv : int
        Heads of keys and values, a divisor of `n_head` (grouped-query attention,
        Ainslie et al. 2023, arXiv:2305.13245).
    head_dim : int
        Dimensions of one head's queries and keys.
    value_dim : int
        Dimensions of one head's values.
    scale : float
        Multiplies the scores.
    window : int or None
        Tokens that a row sees, its own among them; None for all before it. In an
        encoder half of them are before the row, and half after it.
    rope : RopeConfig or None
        Rotations of queries and keys; None for a layer without positions.
    softcap : float or None
        Bound of the scores; None for no bound.
    is_causal : bool
        Whether a row sees nothing after it. In an encoder it sees all of its text.
    alibi_bias : float
        Scores fall with the distance of tokens, by slopes that come of this number, one
        for each head (ALiBi, Press et al. 2022, arXiv:2108.12409); 0 if they do not.
    """

    n_head: int
    n_head_kv: int
    head_dim: int
    value_dim: int
    scale: float
    window: int | None = None
    rope: RopeConfig | None = None
    softcap: float | None = None
    is_causal: bool = True
    alibi_bias: float = 0.0

    def extended(self, kind: type[_Attention], **changes: Any) -> _Attention:
        """Return attention of a kind with more fields; `changes` has their values."""
        own = {each.name: getattr(self, each.name) for each in fields(AttentionConfig)}
        return kind(**own | changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedAttentionConfig(AttentionConfig):
    """Attention of one layer to the keys and values of an earlier one.

    Sizes and window are those of both layers.

    Attributes
    ----------
    source : int
        Number of the layer whose keys and values they are, the first being 0.
    """

    source: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttentionConfig(AttentionConfig):
    """Multi-head latent attention: one key a token, of which all heads make their own.

    DeepSeek-AI 2024 (arXiv:2405.04434). There is one head of keys: `value_dim` numbers,
    the latent, and dimensions that are rotated after them. The value is the latent.
    Each head has matrices that make its own key and value of a latent. Queries are
    multiplied by the one, and results by the other, so that neither is ever made.

    Attributes
    ----------
    plain_dim : int
        Dimensions of a head's query and own key that are not rotated.
    out_dim : int
        Dimensions of a head's own value.
    n_q_latent : int
        Numbers that queries are made of, themselves made of the row; 0 if queries are
        made of the row.
    """

    plain_dim: int
    out_dim: int
    n_q_latent: int = 0


@dataclass(frozen=True, slots=True)
class ShortConvConfig:
    """A short convolution between two gates: a recurrent mixer.

    Attributes
    ----------
    n_kernel : int
        Tokens that a row sees, its own among them.
    n_after : int
        Tokens among them that come after the row; 0 but in an encoder.
    """

    n_kernel: int
    n_after: int = 0


@dataclass(frozen=True, slots=True)
class DeltaRuleConfig:
    """A gated delta rule after a short convolution: a recurrent mixer.

    Attributes
    ----------
    n_head : int
        Heads of values, each with a matrix that it keeps.
    n_key_head : int
        Heads of queries and keys, a divisor of `n_head`.
    key_dim, value_dim : int
        Dimensions of a head's keys, and of its values.
    n_kernel : int
        Tokens that the convolution sees, a row's own among them.
    key_head : KeyHead
        Which head of keys a head of values reads.
    least_decay : float or None
        The least logarithm of a decay, below 0; None for a family without it.
    """

    n_head: int
    n_key_head: int
    key_dim: int
    value_dim: int
    n_kernel: int
    key_head: KeyHead = "division"
    least_decay: float | None = None

    @property
    def n_channels(self) -> int:
        """Channels of the convolution: queries, keys and values."""
        return 2 * self.n_key_head * self.key_dim + self.n_head * self.value_dim


@dataclass(frozen=True, slots=True)
class ScanConfig:
    """A scan as that of Mamba-2, after a short convolution: a recurrent mixer.

    Attributes
    ----------
    n_head : int
        Heads, each with a matrix that it keeps.
    n_group : int
        Groups of neighbouring heads that share what writes to a matrix, and what reads
        it; a divisor of `n_head`. The results of a group are normed together.
    key_dim, value_dim : int
        Rows of a matrix, and its columns.
    n_kernel : int
        Tokens that the convolution sees, a row's own among them.
    """

    n_head: int
    n_group: int
    key_dim: int
    value_dim: int
    n_kernel: int

    @property
    def n_values(self) -> int:
        """Width of what the heads take, and of their results."""
        return self.n_head * self.value_dim

    @property
    def n_channels(self) -> int:
        """Channels of the convolution: values, and what writes and reads matrices."""
        return self.n_values + 2 * self.n_group * self.key_dim


@dataclass(frozen=True, slots=True)
class SelectiveScanConfig:
    """A scan as that of Mamba, after a short convolution: a recurrent mixer.

    Attributes
    ----------
    n_channels : int
        Channels of the convolution and of the scan.
    key_dim : int
        Numbers that each of them keeps.
    n_step : int
        Width of what its steps are made of.
    n_kernel : int
        Tokens that the convolution sees, a row's own among them.
    is_normed : bool
        Whether that, what writes and what reads are normed where a file has no weights
        for it.
    norm_eps : float
        The number that these norms add; 0 for that of the others.
    """

    n_channels: int
    key_dim: int
    n_step: int
    n_kernel: int
    is_normed: bool = False
    norm_eps: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionAndScanConfig(AttentionConfig):
    """Attention of one layer, and a scan beside it that reads the same rows.

    Attributes
    ----------
    scan : ScanConfig
        The scan, whose results are added to those of attention.
    """

    scan: ScanConfig


Mixer: TypeAlias = (
    AttentionConfig
    | SharedAttentionConfig
    | LatentAttentionConfig
    | AttentionAndScanConfig
    | ShortConvConfig
    | DeltaRuleConfig
    | ScanConfig
    | SelectiveScanConfig
)
"""A part of a layer that mixes its tokens: one class for each kind of mixer.

A recurrent mixer is a class of its own in this union, and a part of its own in
`llamacy.architectures`.
"""


@dataclass(frozen=True, slots=True)
class FeedForwardConfig:
    """Feed-forward network of one layer, or the experts in its place.

    Attributes
    ----------
    n_ff : int
        Width of the network; 0 in a layer without one. Experts have theirs in
        `experts.n_ff`.
    activation : Activation
        Joins the gate and up projections, or follows the one projection up.
    constants : tuple of float
        Of the activation, in the order of its operation.
    experts : ExpertConfig or None
        The mixture of experts; None for one dense network.
    """

    n_ff: int
    activation: Activation = "swiglu"
    experts: ExpertConfig | None = None
    constants: tuple[float, ...] = ()

    @property
    def is_gated(self) -> bool:
        """Whether there is a gate beside the projection up."""
        return self.activation in _GATED


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """One layer of a model.

    Attributes
    ----------
    mixer : Mixer or None
        How the layer mixes tokens; None for one that is a feed-forward network alone.
    feed_forward : FeedForwardConfig
        The part of the layer that works on each token alone.
    """

    mixer: Mixer | None
    feed_forward: FeedForwardConfig

    @property
    def attention(self) -> AttentionConfig:
        """The mixer of a layer that attends."""
        assert isinstance(self.mixer, AttentionConfig)
        return self.mixer
