"""Which experts a row goes through, and their weights, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llamacy.config import Gating
from llamacy.ops.experts import LEAST_SUM, Experts

Array = NDArray[np.float32]


def route(scores: Array, experts: Experts[Array]) -> tuple[NDArray[np.intp], Array]:
    """Return each row's experts, best first, and their weights: (M, n_used)."""
    if experts.is_chosen_by_gates:
        return _route_by_gates(scores, experts)
    chosen = _best(scores, experts.n_used)
    if experts.gating == "sparse_mixer":
        sparse = _sparse_weights(scores, chosen, np.float32(2 * experts.jitter))
        return chosen, sparse * np.float32(experts.scale)
    best = np.take_along_axis(scores, chosen, axis=-1)
    is_normalized = experts.is_normalized or experts.gating == "softmax_of_chosen"
    among = best if is_normalized else scores
    with np.errstate(invalid="ignore"):  # infinite scores have no weights but NaN
        shares = np.exp(best - best[:, :1])
        weights: Array = shares / np.exp(among - best[:, :1]).sum(-1, keepdims=True)
    return chosen, weights * np.float32(experts.scale)


def _route_by_gates(
    scores: Array, experts: Experts[Array]
) -> tuple[NDArray[np.intp], Array]:
    """Do the same where a row's scores do not say which experts it chooses."""
    with np.errstate(invalid="ignore", over="ignore"):
        gates = _gates(scores, experts.gating)
        bias = experts.selection_bias
        keys = gates if bias is None else gates + bias
        chosen = _best(keys, experts.n_used, _in_groups(keys, experts))
        weights: Array = np.take_along_axis(gates, chosen, axis=-1)
        if experts.gating == "softmax_of_chosen":
            weights = _gates(weights, "softmax")
        if experts.is_normalized:
            weights = weights / (weights.sum(-1, keepdims=True) + LEAST_SUM)
    return chosen, weights * np.float32(experts.scale)


def _sparse_weights(scores: Array, chosen: NDArray[np.intp], most: np.float32) -> Array:
    """Return the weights of a sparse mixer: see `Gating`."""
    left = np.ones(scores.shape, bool)
    weights = np.empty(chosen.shape, np.float32)
    for rank in range(chosen.shape[1]):
        one = chosen[:, rank, None]
        best = np.take_along_axis(scores, one, axis=-1)
        with np.errstate(invalid="ignore"):
            is_far = (best - scores) / np.maximum(np.abs(scores), best) > most
            shares = np.exp(scores - best) * (left & ~is_far)
        weights[:, rank] = 1 / shares.sum(axis=-1)
        np.put_along_axis(left, one, False, axis=-1)
    return weights


def _gates(scores: Array, gating: Gating) -> Array:
    """Return what a router's scores choose and weigh experts by: (M, n_expert)."""
    if gating == "softmax_of_chosen":
        return scores
    if gating == "sigmoid":
        gates: Array = np.reciprocal(1 + np.exp(-scores))
        return gates
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    gates = shares / shares.sum(axis=-1, keepdims=True)
    return gates


def _in_groups(keys: Array, experts: Experts[Array]) -> NDArray[np.bool_]:
    """Return which experts are in a row's best groups: (M, n_expert)."""
    groups = keys.reshape(len(keys), experts.n_group, -1)
    best = np.take_along_axis(groups, _best(groups, experts.n_best), axis=-1)
    of_row = _best(best.sum(axis=-1), experts.n_group_used)
    are_chosen = np.zeros(groups.shape[:2], bool)
    np.put_along_axis(are_chosen, of_row, True, axis=-1)
    return np.repeat(are_chosen, groups.shape[2], axis=-1)


def _best(
    keys: Array, n: int, may_be: NDArray[np.bool_] | None = None
) -> NDArray[np.intp]:
    """Return where the n highest of the last dimension are, highest first.

    Equal ones stay in order, NaN comes last, and those that may not be after it.
    """
    order = np.argsort(-keys, axis=-1, kind="stable")  # NaN goes to the end
    if may_be is not None:
        allowed = np.take_along_axis(may_be, order, axis=-1)
        last = np.argsort(~allowed, axis=-1, kind="stable")
        order = np.take_along_axis(order, last, axis=-1)
    return order[..., :n]
