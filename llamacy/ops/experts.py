"""A mixture of experts, as architectures hand it to executors: weights and rules.

Shazeer et al. 2017 (arXiv:1701.06538). A row goes through the few feed-forward
networks that a router scores highest for it, and their results are added up, weighted
by the scores. DeepSeek's router (DeepSeek-AI 2024, arXiv:2412.19437) adds a bias to
what it chooses by, and chooses groups of experts first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np

from llamacy.config import Activation, Gating
from llamacy.ops.adapters import LowRank

Weight_co = TypeVar("Weight_co", covariant=True)

LEAST_SUM: Final = np.float32(1e-20)
"""Added to the sum that gates are divided by, so that gates of 0 weigh 0.

That is transformers' constant. llama.cpp takes 2^-14 for a sum below it, a case which
only a router with gates of less than that in all chosen experts can tell.
"""


@dataclass(frozen=True, slots=True)
class Experts(Generic[Weight_co]):
    """The feed-forward networks of one layer, all of one shape.

    Each is `down @ activation(gate @ x, up @ x)`, with a scale and then a bias for each
    product; without a gate, `down @ activation(up @ x)`.

    Attributes
    ----------
    gate : (n_expert, n_ff, n_embd) or None
        Matrices of all experts; None for experts without a gate.
    up : (n_expert, n_ff, n_embd)
        Matrices of all experts.
    down : (n_expert, n_embd, n_ff)
        Matrices of all experts.
    gate_bias, up_bias : (n_expert, n_ff) or None
        Biases of all experts.
    down_bias : (n_expert, n_embd) or None
        Biases of all experts.
    gate_adapter, up_adapter, down_adapter : LowRank or None
        Adapters of the matrices, one an expert, without gains.
    gate_scale, up_scale, down_scale : (n_expert,) or None
        Factors of all experts' products.
    n_used : int
        Experts that a row goes through, 1 to n_expert.
    is_normalized : bool
        The weights of a row's experts are divided by their sum; otherwise they are the
        gates themselves.
    activation : Activation
        ``"swiglu"`` is silu(gate) * up, ``"geglu"`` gelu(gate) * up, with tanh for
        GELU's erf; ``"clamped_swiglu"``, that of gpt-oss (OpenAI 2025,
        arXiv:2508.10925), is gate * sigmoid(1.702 gate) * (up + 1) with gate at most 7
        and up within -7 .. 7. Without a gate, an operation without constants.
    limit : float
        The most that silu(gate) is, and up either way, of ``"swiglu"``; 0 for no bound.
    gating : Gating
        Makes gates of a row's scores.
    scale : float
        Multiplies the weights of a row's experts, normalized or not.
    jitter : float
        Of a sparse mixer, which scores are close to the best.
    n_group, n_group_used : int
        Groups of as many experts each, and how many of them a row may choose from:
        those with the highest sum of their best gates. They hold at least `n_used`
        experts.
    n_best : int
        Best gates of a group that are summed, 1 or 2.
    selection_bias : (n_expert,) or None
        Added to the gates that experts and groups are chosen by, but not to weights.
    """

    gate: Weight_co | None
    up: Weight_co
    down: Weight_co
    n_used: int
    is_normalized: bool
    activation: Activation = "swiglu"
    gate_bias: Weight_co | None = None
    up_bias: Weight_co | None = None
    down_bias: Weight_co | None = None
    limit: float = 0.0
    gating: Gating = "softmax"
    scale: float = 1.0
    jitter: float = 0.0
    n_group: int = 1
    n_group_used: int = 1
    n_best: int = 2
    selection_bias: Weight_co | None = None
    gate_adapter: LowRank[Any] | None = None
    up_adapter: LowRank[Any] | None = None
    down_adapter: LowRank[Any] | None = None
    gate_scale: Weight_co | None = None
    up_scale: Weight_co | None = None
    down_scale: Weight_co | None = None

    def weights(self) -> list[Any]:
        """List all weights that are given."""
        named = (
            *(self.gate, self.up, self.down),
            *(self.gate_bias, self.up_bias, self.down_bias, self.selection_bias),
            *(self.gate_scale, self.up_scale, self.down_scale),
        )
        return [each for each in named if each is not None]

    @property
    def has_adapter_before(self) -> bool:
        """Whether a matrix before the activation has an adapter."""
        return self.gate_adapter is not None or self.up_adapter is not None

    @property
    def is_chosen_by_gates(self) -> bool:
        """Whether the order of the scores does not say which experts a row chooses.

        The softmax keeps their order, so that scores choose where nothing is added.
        """
        has_bias, has_groups = self.selection_bias is not None, self.n_group > 1
        return self.gating == "sigmoid" or has_bias or has_groups
