"""The hyperparameters of a whole model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from llamacy.config.embedding import EmbeddingConfig
from llamacy.config.experts import ExpertConfig
from llamacy.config.layers import AttentionConfig, FeedForwardConfig, LayerConfig
from llamacy.config.rope import RopeConfig


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Hyperparameters of a transformer, in ggml's vocabulary.

    `layers` has what each layer is. The sizes beside it are for models whose layers are
    alike, as most are; where layers differ, each is the largest of all layers.

    Attributes
    ----------
    architecture : str
        The family, as the format names it (`"llama"`).
    name : str
        The model's own name, or `""`.
    n_layer : int
        Layers.
    n_embd : int
        Width of the residual stream.
    n_head, n_head_kv : int
        Heads of queries; of keys and values. Of a model whose layers differ, the
        largest of each.
    head_dim : int
        Dimensions of one head's queries and keys, the largest of all layers. Values
        have as many in most models: `layers` tells.
    n_ff : int
        Width of the feed-forward network, the largest of all layers.
    n_vocab : int
        Tokens of the vocabulary.
    n_ctx_train : int
        Tokens of context the model was made for.
    norm_eps : float
        Added to the mean square, or the variance, in norms.
    rope : RopeConfig
        The position embedding that the file describes. `layers` has each layer's own.
    window : int or None
        Tokens that attention with a window sees, as the file says; None if it names no
        window.
    windowed_layers : tuple of bool or None
        Whether each layer has the window, as the file says; None for the family's rule.
    attention_scale : float or None
        Multiplies scores, as the file says; None for the family's rule.
    attention_softcap, logit_softcap : float or None
        Bounds of scores and logits, as the file says.
    embedding_scale, residual_scale : float
        Multiply embeddings, and the results of attention and feed-forward networks.
    logit_scale : float
        Divides the logits or, in Cohere's families, multiplies them.
    n_embd_per_layer : int
        Width of the embeddings that each layer has of its own; 0 for none.
    has_layer_norm : bool
        Whether norms are layer norms, which subtract the mean (Ba et al. 2016,
        arXiv:1607.06450), and not RMS norms.
    has_learned_positions : bool
        Whether a row of a matrix is added for each position, up to `n_ctx_train`.
    n_token_types : int
        Kinds of tokens that the model tells apart, those of the first and of the second
        of two texts; 0 if it does not.
    is_causal : bool
        Whether a row sees only those before it. A model in which all rows of a text see
        each other, an encoder, embeds texts and writes none.
    has_parallel_residual : bool
        Whether attention and feed-forward network read the same residual, in a family
        that has models of both kinds.
    hidden_activation : str
        The activation of feed-forward networks that the file names; `""` for the
        family's.
    experts : ExpertConfig or None
        The mixture of experts that the file describes; None for dense layers.
    embedding : EmbeddingConfig
        How the model embeds texts.
    has_mtp : bool
        Whether the model has an MTP head, one layer after the others that drafts.
    layers : tuple of LayerConfig
        Each layer, the first first. Where none are given, `n_layer` layers of the sizes
        above.
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
    window: int | None = None
    windowed_layers: tuple[bool, ...] | None = None
    attention_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0
    n_embd_per_layer: int = 0
    has_layer_norm: bool = False
    has_learned_positions: bool = False
    n_token_types: int = 0
    is_causal: bool = True
    has_parallel_residual: bool = False
    hidden_activation: str = ""
    experts: ExpertConfig | None = None
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    has_mtp: bool = False
    layers: tuple[LayerConfig, ...] = ()

    def __post_init__(self) -> None:
        if not self.layers:
            object.__setattr__(self, "layers", (self._layer(),) * self.n_layer)

    def _layer(self) -> LayerConfig:
        network = FeedForwardConfig(self.n_ff, experts=self.experts)
        if not self.n_head:
            return LayerConfig(None, network)
        mixer = AttentionConfig(
            self.n_head,
            self.n_head_kv,
            self.head_dim,
            self.head_dim,
            scale=self.attention_scale or 1 / math.sqrt(self.head_dim),
            window=self.window,
            rope=self.rope,
            is_causal=self.is_causal,
        )
        return LayerConfig(mixer, network)
