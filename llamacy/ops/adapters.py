"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv:2106.09685), beside the weights.

An adapter's `up @ down` is added to the result of a matrix, never to the matrix itself:
a linear layer becomes `x @ weight.T + (x @ down.T) @ up.T`. Any executor can do that
with the operations it has. An adapter with a gain (DoRA, Liu et al. 2024,
arXiv:2402.09353) also multiplies each row of the matrix: `gain * (x @ weight.T) + ...`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, NamedTuple, TypeVar

from llamacy.errors import ArgumentError

Weight = TypeVar("Weight")

_EMBEDDING = "token_embd.weight"
_OUTPUT = "output.weight"


class LowRank(NamedTuple, Generic[Weight]):
    """The adapter of one matrix.

    Attributes
    ----------
    down : (rank, n_in)
        Of a linear layer; of an embedding its rows, (n_vocab, rank), or those of types;
        of experts (n_expert, rank, n_in).
    up : (n_out, rank)
        With the scale and the gain already in it; of an embedding (n_embd, rank); of
        experts (n_expert, n_out, rank).
    gain : (n_out,) or None
        Factors of what the matrix itself gives; of an embedding (n_embd,). None: 1.
    """

    down: Weight
    up: Weight
    gain: Weight | None = None


def with_saved(
    weights: Mapping[str, Weight], saved: Mapping[str, Weight]
) -> Mapping[str, Weight]:
    """Return the weights, with those that an adapter has saved whole in their place.

    A model without an output matrix reads its embedding backwards. Another embedding
    does not change that: only an output matrix that is saved, too, does.
    """
    if _EMBEDDING in saved and _OUTPUT not in weights:
        weights = {**weights, _OUTPUT: weights[_EMBEDDING]}
    return {**weights, **saved} if saved else weights


class AdaptedOps:
    """The vocabulary of `llamacy.ops.vocabulary` with adapters beside matrices.

    Parameters
    ----------
    ops : Ops
        Does the work.
    weights : dict
        All weights of the model, by name.
    adapters : dict of LowRank
        By the names of the matrices they belong to. A model without an output matrix
        reads its embedding backwards, and may have an adapter for either use of it.
    """

    def __init__(
        self,
        ops: Any,
        weights: Mapping[str, Any],
        adapters: Mapping[str, LowRank[Any]],
    ) -> None:
        self._ops = ops
        self._adapters = adapters
        self._unused = dict.fromkeys(adapters)
        embedding = weights.get(_EMBEDDING)
        matrices = {name: weights.get(name, embedding) for name in adapters}
        self._rows = {id(embedding): _EMBEDDING} if _EMBEDDING in adapters else {}
        self._linear = {
            id(matrix): name for name, matrix in matrices.items() if name != _EMBEDDING
        }

    def __getattr__(self, op: str) -> Any:
        return getattr(self._ops, op)

    def linear(self, x: Any, weight: Any, bias: Any = None, scale: Any = None) -> Any:
        """Compute the layer; add the adapter's `(x @ down.T) @ up.T`, not scaled."""
        adapter = self._adapter_of(weight)
        if adapter is None:
            return self._ops.linear(x, weight, bias, scale)
        if adapter.gain is None:
            y = self._ops.linear(x, weight, bias, scale)
            bias = None
        else:  # which is no factor of the bias
            y = self._ops.gain(self._ops.linear(x, weight), adapter.gain)
        low = self._ops.linear(x, adapter.down)
        return self._ops.add(y, self._ops.linear(low, adapter.up, bias))

    def embedding(self, weight: Any) -> Any:
        """Look up rows of `weight`, and add the adapter's rows times its `up.T`."""
        y = self._ops.embedding(weight)
        name = self._rows.get(id(weight))
        if name is None:
            return y
        self._unused.pop(name, None)
        adapter = self._adapters[name]
        if adapter.gain is not None:
            y = self._ops.gain(y, adapter.gain)
        low = self._ops.embedding(adapter.down)
        return self._ops.add(y, self._ops.linear(low, adapter.up))

    def type_embedding(self, weight: Any) -> Any:
        """Look up rows of `weight`, and add the adapter's rows times its `up.T`."""
        y, adapter = self._ops.type_embedding(weight), self._adapter_of(weight)
        if adapter is None:
            return y
        low = self._ops.type_embedding(adapter.down)
        return self._ops.add(y, self._ops.linear(low, adapter.up))

    def sigmoid_gate(self, y: Any, x: Any, weight: Any) -> Any:
        """Gate by a vector, which the adapter's product is added to: it is as small."""
        adapter = self._adapter_of(weight)
        if adapter is not None:
            gain = 1 if adapter.gain is None else adapter.gain
            weight = gain * weight + (adapter.up @ adapter.down)[0]
        return self._ops.sigmoid_gate(y, x, weight)

    def experts(self, x: Any, scores: Any, experts: Any) -> Any:
        """Send rows through experts, each with its own part of the adapters."""
        found = {
            f"{part}_adapter": self._adapter_of(getattr(experts, part))
            for part in ("gate", "up", "down")
        }
        return self._ops.experts(x, scores, replace(experts, **found))

    def head_linear(self, x: Any, weight: Any) -> Any:
        """Multiply each head; add its own part of the adapter's product."""
        y, adapter = self._ops.head_linear(x, weight), self._adapter_of(weight)
        if adapter is None:
            return y
        low = self._ops.head_linear(x, adapter.down)
        return self._ops.add(y, self._ops.head_linear(low, adapter.up))

    def _adapter_of(self, weight: Any) -> LowRank[Any] | None:
        """Return the adapter of a weight that is not an embedding, and note its use."""
        name = self._linear.get(id(weight))
        if name is None:
            return None
        self._unused.pop(name, None)
        return self._adapters[name]

    def check_all_used(self) -> None:
        """Make sure, after a forward pass, that every adapter was used.

        Raises
        ------
        ArgumentError
            An adapter belongs to a matrix that is used in another way.
        """
        if self._unused:
            wanted = "adapters of linear layers, experts and the embedding"
            found = next(iter(self._unused))
            raise ArgumentError(f"adapters: wanted {wanted}, found one of {found}")
