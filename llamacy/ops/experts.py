"""A mixture of experts, as architectures hand it to executors: weights and rules.

Shazeer et al. 2017 (arXiv:1701.06538). A row goes through the few feed-forward
networks that a router scores highest for it, and their results are added up, weighted
by the scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Weight_co = TypeVar("Weight_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Experts(Generic[Weight_co]):
    """The feed-forward networks of one layer, all of one shape.

    Each is `down @ activation(gate @ x, up @ x)`, with a bias for each product.

    Attributes
    ----------
    gate, up : (n_expert, n_ff, n_embd)
        Matrices of all experts.
    down : (n_expert, n_embd, n_ff)
        Matrices of all experts.
    gate_bias, up_bias : (n_expert, n_ff) or None
        Biases of all experts.
    down_bias : (n_expert, n_embd) or None
        Biases of all experts.
    scale : (n_expert,) or None
        Multiplies each expert's result.
    n_used : int
        Experts that a row goes through, 1 to n_expert.
    is_normalized : bool
        The weights of a row's experts are the softmax of their scores, with the sum 1;
        otherwise they are their shares of the softmax of all scores.
    activation : str
        ``"swiglu"`` is silu(gate) * up, ``"geglu"`` gelu(gate) * up, with tanh for
        GELU's erf; ``"clamped_swiglu"``, that of gpt-oss (OpenAI
        2025, arXiv:2508.10925), is gate * sigmoid(1.702 gate) * (up + 1) with gate at
        most 7 and up within -7 .. 7.
    """

    gate: Weight_co
    up: Weight_co
    down: Weight_co
    n_used: int
    is_normalized: bool
    activation: Literal["swiglu", "geglu", "clamped_swiglu"] = "swiglu"
    gate_bias: Weight_co | None = None
    up_bias: Weight_co | None = None
    down_bias: Weight_co | None = None
    scale: Weight_co | None = None

    def weights(self) -> list[Any]:
        """List all weights that are given."""
        named = (
            *(self.gate, self.up, self.down),
            *(self.gate_bias, self.up_bias, self.down_bias),
            self.scale,
        )
        return [each for each in named if each is not None]
