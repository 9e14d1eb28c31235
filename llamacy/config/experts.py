"""The sizes and rules of a mixture of experts."""

from __future__ import annotations

from dataclasses import dataclass


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
    is_normalized : bool or None
        Whether the weights of a token's experts sum to 1; None for the family's
        default.
    """

    n_expert: int
    n_used: int
    n_ff: int = 0
    n_ff_shared: int = 0
    is_normalized: bool | None = None
