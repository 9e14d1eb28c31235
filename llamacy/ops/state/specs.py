"""Specs of what a layer keeps of its sequences between forward passes.

An operation with a state is given such a spec, and whoever stores, frees, counts or
saves states asks the spec, never for the operation's name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyValues:
    """The keys and values of each token: the state of one layer's attention.

    Attributes
    ----------
    layer : int
        Number of the layer, which no other state has.
    n_head_kv : int
        Heads of keys and values.
    head_dim : int
        Dimensions of one head's key.
    value_dim : int
        Dimensions of one head's value.
    window : int or None
        Tokens that the attention sees, the row's own among them; None for all.
    """

    layer: int
    n_head_kv: int
    head_dim: int
    value_dim: int
    window: int | None = None
