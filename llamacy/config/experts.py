"""The sizes and rules of a mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Gating = Literal["softmax", "sigmoid", "softmax_of_chosen", "sparse_mixer"]
"""How a router's scores become the gates of experts, which choose and weigh them.

`"softmax"` is over the scores of all experts, `"sigmoid"` each by itself, and with
`"softmax_of_chosen"` scores choose, and the softmax over the chosen weighs. With
`"sparse_mixer"` each chosen one weighs its share of the softmax over those that are not
chosen before it, and that are close to it (Liu et al. 2024, arXiv:2409.12136).
"""


@dataclass(frozen=True, slots=True)
class ExpertConfig:
    """A mixture of experts in place of a layer's feed-forward network.

    `ModelConfig.experts` holds what the file says. In `ModelConfig.layers` the family
    has put its defaults for what the file leaves out.

    Attributes
    ----------
    n_expert : int
        Experts of a layer.
    n_used : int
        Experts that a token goes through.
    n_ff : int
        Width of one expert; 0 for the family's default.
    n_ff_shared : int
        Width of the expert that all tokens go through; 0 for the family's default,
        which in most families is not to have one.
    n_latent : int
        Width of rows as experts read and make them, between two matrices that all of
        them share; 0 for rows as they are.
    n_shared : int
        Experts that the one which all tokens go through stands for.
    is_normalized : bool or None
        Whether the weights of a token's experts sum to 1; None for the family's
        default.
    gating : Gating or None
        Makes gates of scores; None for the family's default.
    scale : float
        Multiplies the weights of a token's experts.
    jitter : float
        Of a sparse mixer: a score is close to the best one that is left if it is at
        most twice this part of either below it.
    n_group, n_group_used : int
        Groups of experts, and those that a token chooses from, by the sum of their
        best gates.
    n_best : int
        The best gates of a group that are summed, 1 or 2.
    limit, shared_limit : float
        The most that silu(gate) is, and up either way, in a token's experts and in the
        one that all tokens go through; 0 for no bound.
    """

    n_expert: int
    n_used: int
    n_ff: int = 0
    n_ff_shared: int = 0
    n_shared: int = 0
    is_normalized: bool | None = None
    gating: Gating | None = None
    scale: float = 1.0
    jitter: float = 0.0
    n_group: int = 1
    n_group_used: int = 1
    n_best: int = 2
    n_latent: int = 0
    limit: float = 0.0
    shared_limit: float = 0.0
