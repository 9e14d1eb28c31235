"""A model in parts, as a family's forward pass puts them together.

`Parts` is the whole model: its embedding, its blocks, its logits. A `Block` is one
layer: its configuration, its weights, and the ways in which any part applies them. The
parts of a layer have files of their own: `attention.py`, `feed_forward.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NewType

from llamacy.config import LayerConfig, ModelConfig, RopeConfig
from llamacy.ops.rope import Rope
from llamacy.ops.vocabulary import Ops

Value = NewType("Value", object)
"""An operation's argument or result: the reference's array, or the plan's graph node.

It stands for float32, (M, n): a row for each token of the batch.
"""


class Parts:
    """A model, applied by an executor.

    Parameters
    ----------
    ops : Ops
        The executor's operations.
    config : ModelConfig
        The model.
    weights : mapping of str to weight
        All weights by name, `"blk.0.attn_q.weight"`, as the executor has them.
    has_all_rows : bool
        Whether all rows go through all layers, though logits depend on fewer.

    Attributes
    ----------
    last : Value or None
        The last layer's rows, which `logits` has been given.
    """

    def __init__(
        self,
        ops: Ops[Value, Any],
        config: ModelConfig,
        weights: Mapping[str, Any],
        *,
        has_all_rows: bool = False,
    ) -> None:
        self.ops, self.config, self.weights = ops, config, weights
        self.has_all_rows = has_all_rows
        self.last: Value | None = None
        self._ropes: dict[tuple[RopeConfig, int], Rope] = {}
        self._growing: dict[tuple[RopeConfig, int], Rope] = {}

    def embed(self) -> Value:
        """Return the embeddings of the batch's tokens: (M, n_embd).

        Learned positions and token types, where the model has them, are added.
        """
        x = self.ops.embedding(self.weights["token_embd.weight"])
        if self.config.has_learned_positions:
            positions = self.weights["position_embd.weight"]
            x = self.ops.add(x, self.ops.position_embedding(positions))
        types = self.weights.get("token_types.weight")
        return x if types is None else self.ops.add(x, self.ops.type_embedding(types))

    def layers(self) -> Iterator[Block]:
        """Yield the layers, the first first."""
        for number, layer in enumerate(self.config.layers):
            yield Block(self, number, layer)

    def logits(self, x: Value, *, of_wanted: bool = False) -> Value:
        """Turn the last layer's rows into logits: (n_wanted, n_vocab).

        They are those of the batch, (M, n_embd), or the wanted ones.
        """
        self.last = x
        x = x if of_wanted else self.ops.wanted(x)
        return self.output(self.normed(x, "output_norm"))

    def output(self, x: Value) -> Value:
        """Turn normed rows into logits.

        A model without an output matrix reads its embedding backwards.
        """
        embedding = self.weights["token_embd.weight"]
        output = self.weights.get("output.weight", embedding)
        bias, scale = map(self.weights.get, ("output.bias", "output.scale"))
        return self.ops.linear(x, output, bias, scale)

    def normed(self, x: Value, name: str) -> Value:
        """Apply a norm that is outside the layers."""
        weight, bias = self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        return self.norm(x, weight, bias)

    def norm(
        self, x: Value, weight: Any, bias: Any = None, *, size: int | None = None
    ) -> Value:
        """Norm rows in the way of the model, or each part of them of `size` numbers.

        Parts are as long as the weight by default, and whole rows without a weight.
        """
        eps = self.config.norm_eps
        if self.config.has_layer_norm:
            return self.ops.layer_norm(x, weight, bias, eps, size=size)
        return self.ops.rms_norm(x, weight, eps, bias=bias, size=size)

    def rope(self, config: RopeConfig, head_dim: int) -> Rope:
        """Return the rotations of heads: one object for all layers that are alike.

        Frequencies may be divided by `rope_freqs`, or by one of two sets of factors:
        one for texts within the context that the model was first trained for, another
        for longer ones (LongRoPE, Ding et al. 2024, arXiv:2402.13753).
        """
        key = config, head_dim
        if key not in self._ropes:
            factors = long_factors = None
            if config.has_factors:
                factors, long_factors = self._factors()
            self._ropes[key] = Rope.from_config(
                config, head_dim, factors, long_factors=long_factors
            )
        return self._ropes[key]

    def growth(self, config: RopeConfig, head_dim: int) -> Rope:
        """Return the growth of queries in dimensions that are not rotated."""
        key = config, head_dim
        if key not in self._growing:
            self._growing[key] = Rope.growing(config, head_dim)
        return self._growing[key]

    def _factors(self) -> tuple[Any, Any]:
        """Return the factors of short texts and, if they are others, of long ones."""
        if (factors := self.weights.get("rope_freqs.weight")) is not None:
            return factors, None
        return (
            self.weights.get("rope_factors_short.weight"),
            self.weights.get("rope_factors_long.weight"),
        )


class Block:
    """One layer of a model.

    Parameters
    ----------
    model : Parts
        The model.
    number : int
        Number of the layer, the first being 0.
    config : LayerConfig
        The layer.
    """

    def __init__(self, model: Parts, number: int, config: LayerConfig) -> None:
        self.model, self.number, self.config = model, number, config
        self.ops = model.ops

    def weight(self, name: str) -> Any:
        """Return a weight of this layer, `"attn_q.bias"`, or None."""
        return self.model.weights.get(f"blk.{self.number}.{name}")

    def norm(self, x: Value, name: str, *, size: int | None = None) -> Value:
        """Norm rows, or each part of them that is of `size` or as long as the weight.

        A bias is added where there is one.
        """
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.model.norm(x, weight, bias, size=size)

    def linear(self, x: Value, name: str) -> Value:
        """Apply a matrix, and a scale and a bias where there are such."""
        return self.ops.linear(
            x,
            self.weight(f"{name}.weight"),
            self.weight(f"{name}.bias"),
            self.weight(f"{name}.scale"),
        )

    def network_linear(self, x: Value, name: str) -> Value:
        """Apply a matrix of a network, whose scale multiplies its bias, too.

        As in llama.cpp (`build_ffn`), where it also multiplies what adapters add.
        """
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        y, scale = self.ops.linear(x, weight, bias), self.weight(f"{name}.scale")
        return y if scale is None else self.ops.scale(y, float(scale[0]))
