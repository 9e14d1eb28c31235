"""The vocabulary over one batch, in NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from llamacy.ops.adapters import LowRank
from llamacy.ops.batch import Batch, check_positions
from llamacy.ops.experts import Experts
from llamacy.ops.reference.elementwise import Elementwise
from llamacy.ops.reference.recurrence import Recurrences
from llamacy.ops.reference.routing import route
from llamacy.ops.reference.sequence import ReferenceSequence
from llamacy.ops.rope import Rope
from llamacy.ops.state.specs import KeyValues, Recurrence

Array = NDArray[np.float32]


class ReferenceOps(Elementwise, Recurrences):
    """The vocabulary over one batch; values and weights are NumPy arrays."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def embedding(self, weight: Array) -> Array:
        return weight[self.batch.tokens]

    def position_embedding(self, weight: Array) -> Array:
        check_positions(self.batch, len(weight))
        return weight[self.batch.positions]

    def type_embedding(self, weight: Array) -> Array:
        types = self.batch.types
        if types is None:
            types = np.zeros_like(self.batch.tokens)
        return weight[types]

    def rms_norm(
        self,
        x: Array,
        weight: Array | None,
        eps: float,
        *,
        bias: Array | None = None,
        size: int | None = None,
    ) -> Array:
        parts = _parts(x, weight, size)
        mean_square = np.mean(np.square(parts), axis=-1, keepdims=True)
        return _weighted(
            parts / np.sqrt(mean_square + np.float32(eps)), weight, bias
        ).reshape(x.shape)

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
        return _weighted(
            centred / np.sqrt(variance + np.float32(eps)), weight, bias
        ).reshape(x.shape)

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

    def rope(self, x: Array, rope: Rope, *, of_wanted: bool = False) -> Array:
        heads = x.reshape(*x.shape[:1], x.shape[1] // rope.head_dim, rope.head_dim)
        heads, rows = heads.copy(), self._rows(of_wanted)
        n_long = [self.batch.sequences[row].n_long for row in rows]
        rotations = rope.rotations(
            self.batch.positions[rows], np.array(n_long, np.int32)
        )
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
        slopes: Array | None = None,
    ) -> Array:
        q = q.reshape(len(q), -1, state.head_dim)
        k = k.reshape(len(k), state.n_head_kv, state.head_dim)
        v = v.reshape(len(v), state.n_head_kv, state.value_dim)
        out = np.empty((*q.shape[:2], state.value_dim), np.float32)
        if not state.is_causal:
            for row, seen in self._sights(state.window):
                fall = _fall(slopes, np.abs(np.arange(seen.start, seen.stop) - row))
                out[row] = _attend(
                    q[row], k[seen], v[seen], scale, softcap, sinks, fall
                )
            return out.reshape(len(out), -1)
        for row, sequence in enumerate(self.batch.sequences):
            assert isinstance(sequence, ReferenceSequence)
            position = self.batch.positions[row]
            keys = _append(sequence.keys, state.layer, position, k[row])
            values = _append(sequence.values, state.layer, position, v[row])
            if state.window is not None:
                keys, values = keys[-state.window :], values[-state.window :]
            fall = _fall(slopes, np.arange(len(keys) - 1, -1, -1))
            out[row] = _attend(q[row], keys, values, scale, softcap, sinks, fall)
        return out.reshape(len(out), -1)

    def append(self, k: Array, v: Array, *, state: KeyValues) -> Array:
        keys = k.reshape(len(k), state.n_head_kv, state.head_dim)
        values = v.reshape(len(v), state.n_head_kv, state.value_dim)
        for row, sequence in enumerate(self.batch.sequences):
            assert isinstance(sequence, ReferenceSequence)
            position = self.batch.positions[row]
            _append(sequence.keys, state.layer, position, keys[row])
            _append(sequence.values, state.layer, position, values[row])
        return k

    def latent_attention(
        self, q: Array, k: Array, *, state: KeyValues, scale: float
    ) -> Array:
        n_head = state.n_head_kv
        v = k.reshape(len(k), n_head, state.head_dim)[..., : state.value_dim]
        v = v.reshape(len(k), n_head * state.value_dim)
        return self.attention(q, k, v, state=state, scale=scale)

    def head_linear(self, x: Array, weight: Array) -> Array:
        n_head, n_out, n_in = weight.shape
        heads = x.reshape(len(x), n_head, n_in).swapaxes(0, 1)
        y = (heads @ weight.swapaxes(1, 2)).swapaxes(0, 1)
        return y.reshape(len(x), n_head * n_out)

    def causal_conv(
        self, x: Array, weight: Array, bias: Array | None = None, *, state: Recurrence
    ) -> Array:
        factors = weight.reshape(x.shape[1], -1).T
        out = np.empty_like(x)
        if state.n_after:
            for row, text in self._sights(None):
                first = row + state.n_after - state.n_columns
                start = max(first, text.start)
                stop = min(row + state.n_after + 1, text.stop)
                terms = factors[start - first : stop - first] * x[start:stop]
                out[row] = terms.sum(axis=0)
            return out if bias is None else out + bias
        for row, sequence in enumerate(self.batch.sequences):
            assert isinstance(sequence, ReferenceSequence)
            inputs = np.concatenate([sequence.columns(state), x[row : row + 1]])
            out[row] = (factors * inputs).sum(axis=0)
            n_tokens = int(self.batch.positions[row]) + 1
            sequence.keep_columns(state, n_tokens, inputs[1:])
        return out if bias is None else out + bias

    def gain(self, x: Array, weight: Array) -> Array:
        return x * weight

    def shared_attention(
        self,
        q: Array,
        *,
        state: KeyValues,
        scale: float,
        softcap: float | None = None,
        of_wanted: bool = False,
    ) -> Array:
        q = q.reshape(len(q), q.shape[1] // state.head_dim, state.head_dim)
        out = np.empty((*q.shape[:2], state.value_dim), np.float32)
        for i, row in enumerate(self._rows(of_wanted)):
            sequence = self.batch.sequences[row]
            assert isinstance(sequence, ReferenceSequence)
            after = self.batch.positions[row] + 1
            first = 0 if state.window is None else max(0, after - state.window)
            keys = sequence.keys[state.layer][first:after]
            values = sequence.values[state.layer][first:after]
            out[i] = _attend(q[i], keys, values, scale, softcap, None)
        return out.reshape(len(out), q.shape[1] * state.value_dim)

    def head_gate(self, x: Array, gate: Array) -> Array:
        return x * np.repeat(gate, x.shape[1] // gate.shape[1], axis=1)

    def sigmoid_gate(self, y: Array, x: Array, weight: Array) -> Array:
        return self.sigmoid(x @ weight)[:, None] * y

    def experts(self, x: Array, scores: Array, experts: Experts[Array]) -> Array:
        chosen, weights = route(scores, experts)
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
        up = linear(x, e.up, e.up_scale, e.up_bias, e.up_adapter)
        if e.gate is None:
            hidden = getattr(self, e.activation)(up)
        else:
            gate = linear(x, e.gate, e.gate_scale, e.gate_bias, e.gate_adapter)
            hidden = self._gated(e, gate, up)
        return linear(hidden, e.down, e.down_scale, e.down_bias, e.down_adapter)

    def _gated(self, experts: Experts[Array], gate: Array, up: Array) -> Array:
        activation, limit = experts.activation, experts.limit
        if activation == "clamped_swiglu":
            return _clamped_swiglu(gate, up)
        if limit:
            y = self.clamp(self.silu(gate), -np.inf, limit)
            return y * self.clamp(up, -limit, limit)
        if activation == "geglu":
            return self.gelu_mul(gate, up)
        return self.silu_mul(gate, up)

    def columns(self, x: Array, first: int, n: int, *, of: int | None = None) -> Array:
        of = of or x.shape[1]
        n_parts = x.shape[1] // of
        parts = x.reshape(len(x), n_parts, of)[..., first : first + n]
        return parts.reshape(len(x), n_parts * n)

    def join(self, x: Array, y: Array, *, n_head: int = 1) -> Array:
        parts = [
            each.reshape(len(x), n_head, each.shape[1] // n_head) for each in (x, y)
        ]
        width = x.shape[1] + y.shape[1]
        return np.concatenate(parts, axis=-1).reshape(len(x), width)

    def mean(self, x: Array) -> Array:
        firsts = self.batch.wanted - self.batch.positions[self.batch.wanted]
        means = [
            x[first : row + 1].mean(axis=0, dtype=np.float64)
            for first, row in zip(firsts, self.batch.wanted, strict=True)
        ]
        return np.array(means, np.float32).reshape(len(means), x.shape[1])

    def wanted(self, x: Array) -> Array:
        return x[self.batch.wanted]

    def _sights(self, window: int | None) -> Iterator[tuple[int, slice]]:
        """Yield each row and those that it sees, before it and after it."""
        positions = self.batch.positions
        for row, sequence in enumerate(self.batch.sequences):
            first = row - int(positions[row])
            end = first + self.batch.sequences.count(sequence)
            if window is not None:
                first = max(first, row - window // 2)
                end = min(end, row + window // 2 + 1)
            yield row, slice(first, end)

    def _rows(self, of_wanted: bool) -> NDArray[np.int32]:
        """Return the numbers of the rows of the batch, or of the wanted ones."""
        if of_wanted:
            return self.batch.wanted
        return np.arange(len(self.batch.positions), dtype=np.int32)


def _parts(x: Array, weight: Array | None, size: int | None) -> Array:
    """Cut rows into the parts that a norm takes by themselves: (M, n_parts, size)."""
    size = size or (x.shape[1] if weight is None else len(weight))
    return x.reshape(len(x), x.shape[1] // size, size)


def _weighted(parts: Array, weight: Array | None, bias: Array | None) -> Array:
    """Multiply parts of rows by a norm's weight, and add its bias."""
    if weight is not None:
        parts = parts * weight.reshape(-1, parts.shape[-1])
    if bias is not None:
        parts = parts + bias.reshape(-1, parts.shape[-1])
    return parts


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


def _fall(slopes: Array | None, distances: NDArray[np.int_]) -> Array | None:
    """Return by how much scores of each head fall: (n_head, n_past)."""
    return None if slopes is None else slopes[:, None] * distances.astype(np.float32)


def _attend(
    q: Array,
    keys: Array,
    values: Array,
    scale: float,
    softcap: float | None,
    sinks: Array | None,
    fall: Array | None = None,
) -> Array:
    """Attend with one row: q (n_head, d); keys, values (n_past, n_head_kv, d).

    `fall`, (n_head, n_past), is what is taken from scores.
    """
    n_group = len(q) // keys.shape[1]
    keys, values = (np.repeat(t, n_group, axis=1) for t in (keys, values))
    scores = np.einsum("hd,thd->ht", q, keys) * np.float32(scale)
    if softcap is not None:
        scores = np.float32(softcap) * np.tanh(scores / np.float32(softcap))
    if fall is not None:
        scores = scores - fall
    if sinks is not None:
        scores = np.column_stack([scores, sinks])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    # a sink, if there is one, has no value
    out: Array = np.einsum("ht,thd->hd", weights[:, : len(values)], values)
    return out
