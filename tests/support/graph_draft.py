"""Draws graphs operation by operation, whether a model would have them or not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hypothesis import strategies

from llamacy.ops.state.specs import KeyValues, Recurrence
from tests.support.random_graphs import (
    ADAPTED,
    EXPERTS,
    HEADS,
    KERNELS,
    MATRICES,
    N_EMBD,
    N_EXPERT,
    N_HEAD,
    N_LAYER,
    N_VOCAB,
    ROPES,
    WIDTHS,
    Graph,
)
from tests.support.states import key_values

ACTIVATIONS = (
    *("gelu", "gelu_erf", "gelu_quick", "silu", "sigmoid", "softplus"),
    *("relu", "relu_squared"),
)
XIELU = {"alpha_p": 0.8, "alpha_n": 1.3, "beta": 0.5, "eps": -1e-6}
LATER = 100  # layers that scan come after all that only convolve


def widths(n_head: int, state: KeyValues) -> tuple[int, int, int]:
    """Widths of a layer's queries, keys and values."""
    n_kv = state.n_head_kv
    return n_head * state.head_dim, n_kv * state.head_dim, n_kv * state.value_dim


class Draft:
    """A graph while it is drawn.

    Products of products soon leave float32's range, and attention to large values turns
    on their last digits: what is too large for either goes through a norm first.
    """

    def __init__(self, draw: Callable[[Any], Any], is_causal: bool = True) -> None:
        self.graph = Graph()
        self.is_causal = is_causal
        self.draw = draw
        self.widths: list[int] = []
        self.sizes: list[int] = []  # values are within about 4 * 2**size
        self.readable: list[int] = []
        self.of_wanted = False  # whether those have the wanted rows
        self.kept: dict[int, tuple[tuple[int, KeyValues], int]] = {}  # and their sizes
        self.n_convolutions = N_LAYER  # each is a layer of its own
        self.layers = [self.layer(number) for number in range(N_LAYER)]

    def layer(self, number: int) -> tuple[int, KeyValues]:
        """Heads of queries of one layer's attention, and what it keeps."""
        n_head, n_head_kv, head_dim = self.draw(strategies.sampled_from(HEADS))
        window = self.draw(strategies.sampled_from([None, 5, 32]))
        sizes = {"n_head_kv": n_head_kv, "head_dim": head_dim}
        return n_head, key_values(number, window, **sizes, is_causal=self.is_causal)

    def push(
        self, op: str, inputs: tuple[int, ...], width: int, size: int, /, **options: Any
    ) -> int:
        self.graph.steps.append((op, inputs, options))
        self.widths.append(width)
        self.sizes.append(size)
        self.readable.append(len(self.widths) - 1)
        return self.readable[-1]

    def extend(self, ops: tuple[str, ...], most: int) -> None:
        for _ in range(self.draw(strategies.integers(0, most))):
            getattr(self, self.draw(strategies.sampled_from(ops)))()

    def choose(self, width: int | None = None) -> int:
        """One of the latest values, as models mostly read them."""
        found = [i for i in self.readable if width in (None, self.widths[i])]
        if not found:
            assert width is not None
            return self.linear(self.choose(), width)
        return int(self.draw(strategies.sampled_from(found[:-5:-1])))

    def small(self, x: int, most: int) -> int:
        return x if self.sizes[x] <= most else self.norm(x)

    def product(self, gate: int, up: int) -> int:
        size = self.sizes[gate] + self.sizes[up] + 2  # 4 * 4 is 16
        op = self.draw(strategies.sampled_from(["silu_mul", "gelu_mul", "mul"]))
        return self.push(op, (gate, up), self.widths[gate], size)

    # Operations.

    def embedding(self) -> int:
        width = self.draw(strategies.sampled_from(WIDTHS))
        return self.push("embedding", (), width, 0, weight=f"embd {width}")

    def position_embedding(self) -> int:
        width = self.draw(strategies.sampled_from(WIDTHS))
        weight = f"positions {width}"
        return self.push("position_embedding", (), width, 0, weight=weight)

    def type_embedding(self) -> int:
        width = self.draw(strategies.sampled_from(WIDTHS))
        return self.push("type_embedding", (), width, 0, weight=f"types {width}")

    def norm(self, x: int | None = None) -> int:
        x = self.choose() if x is None else x
        width = self.widths[x]
        parts = [f"norm {n}" for n in (*WIDTHS, N_HEAD) if width % n == 0]
        weight = self.draw(strategies.sampled_from(parts))
        if self.draw(strategies.booleans()):
            return self.push("rms_norm", (x,), width, 0, weight=weight, eps=0.1)
        size = self.draw(strategies.sampled_from([None, N_HEAD]))
        options = {
            "weight": self.draw(strategies.sampled_from([None, f"norm {width}"])),
            "size": size,
            "eps": 0.1,
        }
        op = self.draw(strategies.sampled_from(["rms_norm", "layer_norm"]))
        options["bias"] = options["weight"] and f"bias {width}"
        return self.push(op, (x,), width, 0, **options)

    def linear(self, x: int | None = None, width: int | None = None) -> int:
        x = self.choose() if x is None else x
        width = width or self.draw(strategies.sampled_from(WIDTHS))
        weight = f"{self.draw(strategies.sampled_from('ab'))} {self.widths[x]} {width}"
        bias = self.draw(strategies.sampled_from([None, f"bias {width}"]))
        scale = self.draw(strategies.sampled_from([None, "factor"]))
        options = {"weight": weight, "bias": bias, "scale": scale}
        return self.push("linear", (x,), width, self.sizes[x], **options)

    def rope(self, x: int | None = None) -> int:
        x = self.choose() if x is None else x
        width = self.widths[x]
        names = [name for name, rope in ROPES.items() if width % rope.head_dim == 0]
        name = self.draw(strategies.sampled_from(names))
        options = {"rope": name, "of_wanted": self.of_wanted}
        return self.push("rope", (x,), width, self.sizes[x], **options)

    def attention(self) -> int:
        layer = self.draw(strategies.sampled_from(self.layers))
        return self.attend(layer, *map(self.choose, widths(*layer)))

    def attend(self, layer: tuple[int, KeyValues], q: int, k: int, v: int) -> int:
        q, k = self.small(q, 1), self.small(k, 1)
        n_head, state = layer
        options = {
            "state": state,
            "scale": 0.25,
            "softcap": self.draw(strategies.sampled_from([None, 2.0])),
            "sinks": self.draw(strategies.sampled_from([None, f"sinks {n_head}"])),
            "slopes": self.draw(strategies.sampled_from([None, f"slopes {n_head}"])),
        }
        width = n_head * state.value_dim
        self.kept[state.layer] = layer, max(self.sizes[v], self.kept_size(state))
        return self.push("attention", (q, k, v), width, self.sizes[v], **options)

    def kept_size(self, state: KeyValues) -> int:
        return self.kept[state.layer][1] if state.layer in self.kept else 0

    def append(self) -> int:
        layer = self.draw(strategies.sampled_from(self.layers))
        _, n_keys, n_values = widths(*layer)
        k, v = self.small(self.choose(n_keys), 1), self.choose(n_values)
        k = self.rope(k) if self.draw(strategies.booleans()) else k
        state = layer[1]
        self.kept[state.layer] = layer, max(self.sizes[v], self.kept_size(state))
        nothing = self.push("append", (k, v), n_keys, 1, state=state)
        self.readable.remove(nothing)
        return nothing

    def shared_attention(self) -> int:
        if not self.kept or not self.is_causal:
            return self.norm() if self.of_wanted else self.attention()
        layers = list(self.kept.values())
        (n_head, state), size = self.draw(strategies.sampled_from(layers))
        q = self.small(self.choose(n_head * state.head_dim), 1)
        q = self.rope(q) if self.draw(strategies.booleans()) else q
        width = n_head * state.value_dim
        options = {"state": state, "scale": 0.25, "of_wanted": self.of_wanted}
        return self.push("shared_attention", (q,), width, size, **options)

    def causal_conv(self) -> int:
        x = self.choose()
        width, kernel = self.widths[x], self.draw(strategies.sampled_from(KERNELS))
        self.n_convolutions += 1
        state = Recurrence(self.n_convolutions, width, kernel - 1)
        options = {
            "state": state,
            "weight": f"kernel {width} {kernel}",
            "bias": self.draw(strategies.sampled_from([None, f"bias {width}"])),
        }
        y = self.push("causal_conv", (x,), width, self.sizes[x] + 1, **options)
        if self.draw(strategies.booleans()):
            y = self.push("silu", (y,), width, self.sizes[y])
        return y

    def columns(self) -> int:
        x = self.choose()
        n = self.draw(
            strategies.sampled_from([w for w in WIDTHS if w <= self.widths[x]])
        )
        first = self.draw(strategies.integers(0, self.widths[x] - n))
        options = {"first": first, "n": n}
        if self.draw(strategies.booleans()) and self.widths[x] % N_HEAD == 0:
            # a half of each head
            first, part = self.draw(strategies.integers(0, N_HEAD // 2)), N_HEAD // 2
            options = {"first": first, "n": part, "of": N_HEAD}
            n = self.widths[x] // 2
        y = self.push("columns", (x,), n, self.sizes[x], **options)
        if n not in WIDTHS:
            self.readable.remove(y)
        return y

    def join(self) -> int:
        x, y = self.choose(N_EMBD // 2), self.choose(N_EMBD // 2)
        n_head = self.draw(strategies.sampled_from([1, 2, 8]))
        size = max(self.sizes[x], self.sizes[y])
        return self.push("join", (x, y), N_EMBD, size, n_head=n_head)

    def head_linear(self) -> int:
        x = self.choose()
        width = self.draw(strategies.sampled_from(WIDTHS))
        weight = f"each head {self.widths[x]} {width}"
        return self.push("head_linear", (x,), width, self.sizes[x], weight=weight)

    def latent_attention(self) -> int:
        q, k = (self.small(self.choose(N_EMBD // n), 1) for n in (1, 2))
        state = KeyValues(N_LAYER + 9, 1, N_EMBD // 2, N_VOCAB // 2, is_latent=True)
        options = {"state": state, "scale": 0.25}
        return self.push("latent_attention", (q, k), N_VOCAB, 1, **options)

    def scale(self, x: int | None = None, factor: float = 0.75) -> int:
        x = self.choose() if x is None else x
        return self.push("scale", (x,), self.widths[x], self.sizes[x], factor=factor)

    def softcap(self, x: int | None = None) -> int:
        x = self.choose() if x is None else x
        return self.push("softcap", (x,), self.widths[x], min(3, self.sizes[x]), cap=8)

    def clamp(self) -> int:
        x = self.choose()
        return self.push(
            "clamp", (x,), self.widths[x], self.sizes[x], least=-math.inf, most=0.5
        )

    def activation(self) -> int:
        x = self.small(self.choose(), 3)
        op = self.draw(strategies.sampled_from([*ACTIVATIONS, "xielu"]))
        size = self.sizes[x]
        if op in ("relu_squared", "xielu"):
            size = 2 * size + 3
        options = XIELU if op == "xielu" else {}
        return self.push(op, (x,), self.widths[x], size, **options)

    def gated(self) -> int:
        gate = self.small(self.choose(), 4)
        return self.product(gate, self.small(self.choose(self.widths[gate]), 4))

    def experts(self) -> int:
        """All are used: which of two come first may turn on a last digit."""
        x = self.small(self.choose(), 1)
        width = self.widths[x]
        scores = self.push("linear", (x,), N_EXPERT, 1, weight=f"router {width}")
        self.readable.remove(scores)  # no other operation is of their width
        kind = self.draw(strategies.sampled_from(EXPERTS))
        adapted = self.draw(strategies.sampled_from(ADAPTED))
        name = f"{kind} {width} {adapted}"
        return self.push("experts", (x, scores), width, 4, experts=name)

    def gain(self) -> int:
        x = self.choose()
        weight = f"norm {self.widths[x]}"
        return self.push("gain", (x,), self.widths[x], self.sizes[x], weight=weight)

    def sigmoid_gate(self) -> int:
        y, x = self.choose(), self.small(self.choose(), 1)
        weight = f"norm {self.widths[x]}"
        return self.push(
            "sigmoid_gate", (y, x), self.widths[y], self.sizes[y], weight=weight
        )

    def head_gate(self) -> int:
        x = self.small(self.choose(), 4)
        n_heads = [n for n in WIDTHS if self.widths[x] % n == 0]
        n_head = self.draw(strategies.sampled_from(n_heads))
        gate = self.small(self.choose(n_head), 4)
        size = self.sizes[x] + self.sizes[gate] + 2  # 4 * 4 is 16
        return self.push("head_gate", (x, gate), self.widths[x], size)

    def add(self, x: int | None = None, y: int | None = None) -> int:
        x = self.choose() if x is None else x
        y = self.choose(self.widths[x]) if y is None else y
        size = 1 + max(self.sizes[x], self.sizes[y])
        return self.push("add", (x, y), self.widths[x], size)

    # As models use them; later operations may read each part again.

    def heads(self) -> int:
        x = self.small(self.choose(), 1)
        layer = self.draw(strategies.sampled_from(self.layers))
        q, k, v = (self.linear(x, width) for width in widths(*layer))
        turned = self.draw(strategies.sampled_from([(q, k), (q,), (k, v), (q, k, v)]))
        return self.attend(
            layer,
            *(self.rope(value) if value in turned else value for value in (q, k, v)),
        )

    def recurrence(self) -> int:
        """A scan of what a convolution made, in a layer of its own."""
        x = self.small(self.choose(), 1)
        n_head, n_key_head, key_dim, value_dim = self.draw(
            strategies.sampled_from(MATRICES)
        )
        width, layer = n_head * value_dim, LATER + len(self.widths)
        n_kernel = self.draw(strategies.sampled_from(KERNELS))
        state = Recurrence(layer, width, n_kernel - 1, n_head, key_dim, value_dim)
        options = {
            "weight": f"kernel {width} {n_kernel}",
            "bias": self.draw(strategies.sampled_from([None, f"bias {width}"])),
            "state": state,
        }
        v = self.linear(x, width)
        v = self.push("causal_conv", (v,), width, self.sizes[v] + 2, **options)
        q, k = (self.unit_heads(x, n_key_head, key_dim) for _ in "qk")
        shares, steps = (self.of_heads(x, n_head, op) for op in ("sigmoid", "softplus"))
        if self.draw(strategies.booleans()):
            a = d = f"negative {n_head}"
            return self.push(
                "ssm_scan", (v, steps, q, k), width, self.sizes[v] + 3, a=a, d=d,
                state=state,
            )  # fmt: skip
        if self.draw(strategies.booleans()):
            return self.selective_scan(v, x, state)
        decay = self.scale(steps, -0.5)
        self.readable.remove(decay)
        if self.draw(strategies.booleans()):
            decay = self.scale(self.of_heads(x, n_head * key_dim, "sigmoid"), -1)
            self.readable.remove(decay)
        key_head = self.draw(strategies.sampled_from(["division", "modulo"]))
        inputs = (q, k, v, decay, shares)
        size = self.sizes[v] + 3
        return self.push(
            "delta_rule", inputs, width, size, state=state, key_head=key_head
        )

    def selective_scan(self, v: int, x: int, state: Recurrence) -> int:
        """A scan of channels, each of which decays by itself."""
        width, key_dim = self.widths[v], state.key_dim
        steps = self.of_heads(x, width, "softplus")
        b, c = (self.of_heads(x, key_dim, "sigmoid") for _ in "bc")
        b = self.scale(b, 1 / key_dim)
        self.readable.remove(b)
        options = {"a": f"negative {width} {key_dim}", "d": f"negative {width}"}
        return self.push(
            "selective_scan", (v, steps, b, c), width, self.sizes[v] + 3, state=state,
            **options,
        )  # fmt: skip

    def unit_heads(self, x: int, n_head: int, dim: int) -> int:
        """Heads of length 1."""
        x, width = self.linear(x, n_head * dim), n_head * dim
        x = self.push("rms_norm", (x,), width, 0, weight=None, size=dim, eps=0.1)
        return self.scale(x, dim**-0.5)

    def of_heads(self, x: int, n: int, op: str) -> int:
        """Few numbers of each row, which no other operation reads."""
        weight = f"heads {self.widths[x]} {n}"
        y = self.push("linear", (x,), n, self.sizes[x], weight=weight)
        self.readable.remove(y)
        y = self.push(op, (y,), n, self.sizes[x])
        self.readable.remove(y)
        return y

    def residual(self) -> int:
        x = self.choose()
        total = self.add(x, self.linear(self.choose(), self.widths[x]))
        return self.add(total, x) if self.draw(strategies.booleans()) else total

    def capped(self) -> int:
        """As logits are, in some models."""
        return self.softcap(self.scale(self.linear(width=N_VOCAB)))

    def swiglu(self) -> int:
        x = self.small(self.choose(), 4)
        y = self.draw(strategies.sampled_from([x, self.small(self.choose(), 4)]))
        width = self.draw(strategies.sampled_from(WIDTHS))
        return self.product(self.linear(x, width), self.linear(y, width))


ON_ALL_ROWS = (
    *("embedding", "position_embedding", "type_embedding", "rope"),
    *("attention", "append", "heads"),
    *("shared_attention", "latent_attention", "causal_conv", "recurrence"),
)
ON_ANY_ROWS = (
    *("norm", "linear", "gated", "add", "scale", "softcap", "clamp"),
    *("residual", "swiglu", "capped", "experts", "sigmoid_gate", "gain", "activation"),
    *("columns", "join", "head_linear", "head_gate"),
)


@strategies.composite
def graphs(draw: Any, *, embeds: bool = False) -> Graph:
    """Operations on all rows, then on the wanted ones; any value of these is returned.

    Nodes that the logits do not depend on stay in the graph. One that embeds has means
    of texts, too, and its rows may see those after them.
    """
    draft = Draft(draw, is_causal=not embeds or draw(strategies.booleans()))
    draft.embedding()
    draft.extend(ON_ANY_ROWS + ON_ALL_ROWS, most=16)
    chosen = [draft.choose() for _ in range(draw(strategies.integers(1, 2)))]
    draft.readable.clear()
    draft.of_wanted = True
    for x in chosen:
        op = draw(strategies.sampled_from(["wanted", "mean"])) if embeds else "wanted"
        draft.push(op, (x,), draft.widths[x], draft.sizes[x])
    draft.extend((*ON_ANY_ROWS, "rope", "shared_attention"), most=6)
    draft.graph.logits = draft.choose(N_VOCAB)
    return draft.graph
