"""The operations in NumPy, float32, eager: slow, obvious, the truth for tests."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from llamacy.config import Gating, ModelConfig
from llamacy.errors import ClosedError
from llamacy.ggml.tensor import Tensor
from llamacy.ops.adapters import AdaptedOps, LowRank, with_saved
from llamacy.ops.batch import N_BATCH, Batch, check_positions
from llamacy.ops.elementwise import Elementwise
from llamacy.ops.experts import LEAST_SUM, Experts
from llamacy.ops.rope import LongTexts, Rope, long_texts
from llamacy.ops.state.specs import KeyValues
from llamacy.ops.vocabulary import Forward

Array = NDArray[np.float32]


class ReferenceSequence:
    """The keys and values of one sequence: a pair of arrays for each layer."""

    def __init__(self) -> None:
        self.n_past = 0
        self.n_long = 0
        self.keys: dict[int, Array] = {}  # layer -> (n_past, n_head_kv, head_dim)
        self.values: dict[int, Array] = {}

    @property
    def pages(self) -> tuple[int, ...]:
        """Its arrays, by their addresses."""
        return tuple(map(id, (*self.keys.values(), *self.values.values())))

    def fork(self) -> ReferenceSequence:
        """Return a sequence with the same tokens; arrays are never changed in place."""
        twin = ReferenceSequence()
        twin.n_past, twin.n_long = self.n_past, self.n_long
        twin.keys, twin.values = dict(self.keys), dict(self.values)
        return twin

    def can_go_back(self, n: int) -> bool:
        """Whether `n` is among its tokens: it keeps even those that windows hide."""
        return 0 <= n <= self.n_past

    def truncate(self, n: int) -> None:
        """Forget all but the first `n` tokens."""
        self.n_past = min(self.n_past, n)

    def close(self) -> None:
        """Drop the arrays."""
        self.n_past = 0
        self.keys.clear()
        self.values.clear()


class ReferenceOps(Elementwise):
    """The vocabulary over one batch; values and weights are NumPy arrays."""

    def __init__(self, config: ModelConfig, batch: Batch) -> None:
        self.config = config
        self.batch = batch

    def embedding(self, weight: Array) -> Array:
        return weight[self.batch.tokens]

    def position_embedding(self, weight: Array) -> Array:
        check_positions(self.batch, len(weight))
        return weight[self.batch.positions]

    def rms_norm(
        self, x: Array, weight: Array | None, eps: float, *, size: int | None = None
    ) -> Array:
        parts = _parts(x, weight, size)
        mean_square = np.mean(np.square(parts), axis=-1, keepdims=True)
        y: Array = parts / np.sqrt(mean_square + np.float32(eps))
        if weight is not None:
            y = y * weight.reshape(-1, parts.shape[-1])
        return y.reshape(x.shape)

    def layer_norm(
        self,
        x: Array,
        weight: Array | None,
        bias: Array | None,
        eps: float,
        *,
        size: int | None = None,
    ) -> Array:
        parts = _parts(x, weight, size)
        centred = parts - np.mean(parts, axis=-1, keepdims=True)
        variance = np.mean(np.square(centred), axis=-1, keepdims=True)
        y: Array = centred / np.sqrt(variance + np.float32(eps))
        if weight is not None:
            y = y * weight.reshape(-1, parts.shape[-1])
        if bias is not None:
            y = y + bias.reshape(-1, parts.shape[-1])
        return y.reshape(x.shape)

    def linear(
        self,
        x: Array,
        weight: Array,
        bias: Array | None = None,
        scale: Array | None = None,
    ) -> Array:
        y: Array = x @ weight.T
        if scale is not None:
            y *= scale
        return y if bias is None else y + bias

    def rope(self, x: Array, rope: Rope) -> Array:
        heads = x.reshape(len(x), -1, rope.head_dim).copy()
        n_long = np.array([each.n_long for each in self.batch.sequences], np.int32)
        rotations = rope.rotations(self.batch.positions, n_long)
        cos, sin = (t[:, None] for t in rotations)
        a, b = rope.first, rope.second
        heads[..., a], heads[..., b] = (
            heads[..., a] * cos - heads[..., b] * sin,
            heads[..., a] * sin + heads[..., b] * cos,
        )
        return heads.reshape(x.shape)

    def attention(
        self,
        q: Array,
        k: Array,
        v: Array,
        *,
        state: KeyValues,
        scale: float,
        softcap: float | None = None,
        sinks: Array | None = None,
    ) -> Array:
        q = q.reshape(len(q), -1, state.head_dim)
        k = k.reshape(len(k), state.n_head_kv, state.head_dim)
        v = v.reshape(len(v), state.n_head_kv, state.value_dim)
        out = np.empty((*q.shape[:2], state.value_dim), np.float32)
        for row, sequence in enumerate(self.batch.sequences):
            assert isinstance(sequence, ReferenceSequence)
            position = self.batch.positions[row]
            keys = _append(sequence.keys, state.layer, position, k[row])
            values = _append(sequence.values, state.layer, position, v[row])
            if state.window is not None:
                keys, values = keys[-state.window :], values[-state.window :]
            out[row] = _attend(q[row], keys, values, scale, softcap, sinks)
        return out.reshape(len(out), -1)

    def gain(self, x: Array, weight: Array) -> Array:
        return x * weight

    def shared_attention(
        self, q: Array, *, state: KeyValues, scale: float, softcap: float | None = None
    ) -> Array:
        q = q.reshape(len(q), -1, state.head_dim)
        out = np.empty((*q.shape[:2], state.value_dim), np.float32)
        for row, sequence in enumerate(self.batch.sequences):
            assert isinstance(sequence, ReferenceSequence)
            after = self.batch.positions[row] + 1
            first = 0 if state.window is None else max(0, after - state.window)
            keys = sequence.keys[state.layer][first:after]
            values = sequence.values[state.layer][first:after]
            out[row] = _attend(q[row], keys, values, scale, softcap, None)
        return out.reshape(len(out), -1)

    def sigmoid_gate(self, y: Array, x: Array, weight: Array) -> Array:
        with np.errstate(over="ignore"):
            share = 1 / (1 + np.exp(-(x @ weight)))
        gated: Array = share[:, None] * y
        return gated

    def experts(self, x: Array, scores: Array, experts: Experts[Array]) -> Array:
        chosen, weights = _route(scores, experts)
        y = np.zeros((len(x), experts.down.shape[1]), np.float32)
        for expert in range(scores.shape[1]):
            rows, ranks = np.nonzero(chosen == expert)
            y[rows] += weights[rows, ranks, None] * self._expert(
                x[rows], experts, expert
            )
        return y

    def _expert(self, x: Array, experts: Experts[Array], number: int) -> Array:
        """One expert's feed-forward network, on rows that chose it."""

        def linear(
            x: Array,
            weight: Array,
            scale: Array | None,
            bias: Array | None,
            adapter: LowRank[Array] | None,
        ) -> Array:
            its_bias, its_scale = (
                None if each is None else each[number] for each in (bias, scale)
            )
            y = self.linear(x, weight[number], its_bias, its_scale)
            if adapter is not None:
                y = y + (x @ adapter.down[number].T) @ adapter.up[number].T
            return y

        e = experts
        gate = linear(x, e.gate, e.gate_scale, e.gate_bias, e.gate_adapter)
        up = linear(x, e.up, e.up_scale, e.up_bias, e.up_adapter)
        if e.activation == "clamped_swiglu":
            hidden = _clamped_swiglu(gate, up)
        elif e.activation == "geglu":
            hidden = self.gelu_mul(gate, up)
        else:
            hidden = self.silu_mul(gate, up)
        return linear(hidden, e.down, e.down_scale, e.down_bias, e.down_adapter)

    def columns(self, x: Array, first: int, n: int) -> Array:
        return x[:, first : first + n]

    def wanted(self, x: Array) -> Array:
        return x[self.batch.wanted]


def _parts(x: Array, weight: Array | None, size: int | None) -> Array:
    """Cut rows into the parts that a norm takes by themselves: (M, n_parts, size)."""
    size = size or (x.shape[1] if weight is None else len(weight))
    return x.reshape(len(x), x.shape[1] // size, size)


def _route(scores: Array, experts: Experts[Array]) -> tuple[NDArray[np.intp], Array]:
    """Return each row's experts, best first, and their weights: (M, n_used)."""
    if experts.is_chosen_by_gates:
        return _route_by_gates(scores, experts)
    chosen = _best(scores, experts.n_used)
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
    two_best = np.take_along_axis(groups, _best(groups, 2), axis=-1)
    of_row = _best(two_best.sum(axis=-1), experts.n_group_used)
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


def _clamped_swiglu(gate: Array, up: Array) -> Array:
    gate, up = np.minimum(gate, np.float32(7)), np.clip(up, -7, 7)
    with np.errstate(over="ignore"):
        y: Array = gate / (1 + np.exp(np.float32(-1.702) * gate)) * (up + 1)
    return y


def _append(store: dict[int, Array], layer: int, position: int, row: Array) -> Array:
    """Cut `store[layer]` to `position` tokens, put `row` after them, and return it."""
    past = store.get(layer, np.empty((0, *row.shape), np.float32))[:position]
    store[layer] = np.concatenate([past, row[None]])
    return store[layer]


def _attend(
    q: Array,
    keys: Array,
    values: Array,
    scale: float,
    softcap: float | None,
    sinks: Array | None,
) -> Array:
    """Attend with one row: q (n_head, d); keys, values (n_past, n_head_kv, d)."""
    n_group = len(q) // keys.shape[1]
    keys, values = (np.repeat(t, n_group, axis=1) for t in (keys, values))
    scores = np.einsum("hd,thd->ht", q, keys) * np.float32(scale)
    if softcap is not None:
        scores = np.float32(softcap) * np.tanh(scores / np.float32(softcap))
    if sinks is not None:
        scores = np.column_stack([scores, sinks])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    # a sink, if there is one, has no value
    out: Array = np.einsum("ht,thd->hd", weights[:, : len(values)], values)
    return out


class ReferenceExecutor:
    """Runs an architecture's forward pass op by op in NumPy.

    Parameters
    ----------
    forward : callable
        The architecture's forward pass.
    config : ModelConfig
        Hyperparameters.
    weights : dict of float32 arrays
        By name.
    n_batch : int
        Most rows of a pass, for callers; it has no limit of its own.
    """

    def __init__(
        self,
        forward: Forward,
        config: ModelConfig,
        weights: Mapping[str, Array],
        *,
        n_batch: int = N_BATCH,
    ) -> None:
        self.n_batch = n_batch
        self._forward = forward
        self._config = config
        self._weights: Mapping[str, Array] | None = weights
        self._adapters: Mapping[str, LowRank[Array]] = {}
        self._saved: Mapping[str, Array] = {}
        self._lock = threading.Lock()

    def new_sequence(self) -> ReferenceSequence:
        """Return an empty sequence."""
        return ReferenceSequence()

    @property
    def n_vocab(self) -> int:
        """Logits of a row."""
        return self._config.n_vocab

    @property
    def long_texts(self) -> LongTexts | None:
        """How long texts are rotated; None if as all others."""
        return long_texts(self._config, self._weights or {})

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights, by name."""
        return {name: array.shape for name, array in (self._weights or {}).items()}

    def weight_rows(self, name: str, first: int, n_rows: int) -> Array:
        """Return rows of a matrix: float32, (n_rows, n_in)."""
        with self._lock:
            if self._weights is None:
                raise ClosedError("the model is closed")
            matrix: Array = np.atleast_2d(self._weights[name])
            return matrix[first : first + n_rows]

    @property
    def page_bytes(self) -> int:
        """0: its keys and values are not in pages."""
        return 0

    n_pages_used = n_pages_free = 0  # likewise

    def forward(self, batch: Batch, logits: Array | None = None) -> Array:
        """Run one forward pass; float32, (n_wanted, n_vocab), in `logits` if given."""
        with self._lock:
            if self._weights is None:
                raise ClosedError("the model is closed")
            weights = with_saved(self._weights, self._saved)
            ops = AdaptedOps(ReferenceOps(self._config, batch), weights, self._adapters)
            result: Array = self._forward(ops, self._config, weights)
            ops.check_all_used()
            for sequence, position in zip(
                batch.sequences, batch.positions, strict=True
            ):
                assert isinstance(sequence, ReferenceSequence)
                sequence.n_past = int(position) + 1
            if logits is None:
                return result
            logits[:] = result
            return logits

    def set_adapters(
        self,
        adapters: Mapping[str, LowRank[Array]],
        saved: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Compute with these adapters from now on, and no others."""
        arrays = {name: each.dequantize() for name, each in (saved or {}).items()}
        with self._lock:
            self._adapters, self._saved = dict(adapters), arrays

    def close(self) -> None:
        """Let the weights go."""
        with self._lock:
            self._weights = None
