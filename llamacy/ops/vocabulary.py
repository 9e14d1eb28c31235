"""The vocabulary of a transformer: the operations an architecture is written in.

An architecture is a function that calls these operations and nothing else. The
reference executor computes each at once in NumPy; the plan records them. In the
shapes below M is the number of rows of the batch; every value is float32, and
weights are (n_out, n_in) as GGUF stores them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, Protocol, TypeVar

from llamacy.config import KeyHead, ModelConfig, Pooling
from llamacy.ops.experts import Experts
from llamacy.ops.rope import Rope
from llamacy.ops.state.specs import KeyValues, Recurrence

ELEMENTWISE: Final = (
    *("silu_mul", "gelu_mul", "scale", "softcap", "add", "mul"),
    *("gelu", "gelu_erf", "gelu_quick", "silu", "sigmoid", "softplus"),
    *("relu", "relu_squared", "xielu", "clamp"),
)
"""Operations on numbers one by one: `f(x)`, with up to four constants, or `f(x, y)`.

Each is a function and a row of the table in kernels/rows/rows.pxi; the plan needs
nothing else to run it.
"""

Value = TypeVar("Value")
Weight = TypeVar("Weight", contravariant=True)


class Ops(Protocol, Generic[Value, Weight]):
    """One method for each operation."""

    def embedding(self, weight: Weight) -> Value:
        """Rows of `weight` (n_vocab, n_embd) at the batch's tokens: (M, n_embd).

        A weight that was left in its file is read row by row.
        """

    def position_embedding(self, weight: Weight) -> Value:
        """Rows of `weight` (n_ctx, n_embd) at the tokens' positions: (M, n_embd)."""

    def type_embedding(self, weight: Weight) -> Value:
        """Rows of `weight` (n_types, n_embd) at the tokens' types: (M, n_embd)."""

    def rms_norm(
        self,
        x: Value,
        weight: Weight | None,
        eps: float,
        *,
        bias: Weight | None = None,
        size: int | None = None,
    ) -> Value:
        """`x / sqrt(mean(x²) + eps) * weight + bias` (Zhang & Sennrich 2019).

        `size` numbers are normed together: as many as the weight has by default, or a
        whole row without a weight. A weight of (head_dim,) norms each head, all heads
        by the same weights; a weight as long as a row has its own for each part, and a
        bias is as long as the weight.
        """

    def layer_norm(
        self,
        x: Value,
        weight: Weight | None,
        bias: Weight | None,
        eps: float,
        *,
        size: int | None = None,
    ) -> Value:
        """`(x - mean(x)) / sqrt(var(x) + eps) * weight + bias` (Ba et al. 2016).

        Parts of a row are normed by themselves as in `rms_norm`.
        """

    def linear(
        self,
        x: Value,
        weight: Weight,
        bias: Weight | None = None,
        scale: Weight | None = None,
    ) -> Value:
        """`scale * (x @ weight.T) + bias`: (M, n_in) to (M, n_out); scale is (1,)."""

    def rope(self, x: Value, rope: Rope, *, of_wanted: bool = False) -> Value:
        """Rotate pairs of dimensions in each head of `x` by its row's position.

        With `of_wanted`, `x` has the wanted rows alone.
        """

    def attention(
        self,
        q: Value,
        k: Value,
        v: Value,
        *,
        state: KeyValues,
        scale: float,
        softcap: float | None = None,
        sinks: Weight | None = None,
        slopes: Weight | None = None,
    ) -> Value:
        """Attention of each row to its own sequence, up to itself.

        Appends `k` (M, n_head_kv * head_dim) and `v` (M, n_head_kv * value_dim) to the
        sequences' `state`; `q` is (M, n_head * head_dim), the result
        (M, n_head * value_dim). With a window of W a row sees the last W tokens,
        its own among them (Beltagy et al. 2020, arXiv:2004.05150); with `softcap` its
        scores go through that operation; with `sinks` (n_head,) each head has one score
        more, for a value of 0 (Xiao et al. 2023, arXiv:2309.17453); with `slopes`
        (n_head,) they fall by these with each token of distance (Press et al. 2022,
        arXiv:2108.12409).

        If the state is not causal, a row sees all rows of its text, all of which are in
        the pass; with a window, `W // 2` of them before and after it.
        """

    def append(self, k: Value, v: Value, *, state: KeyValues) -> Value:
        """Append `k` and `v` to the sequences' `state`, as `attention` does.

        Nothing may read the result: it stands for the step alone.
        """

    def shared_attention(
        self,
        q: Value,
        *,
        state: KeyValues,
        scale: float,
        softcap: float | None = None,
        of_wanted: bool = False,
    ) -> Value:
        """Causal attention to the keys and values that an earlier layer has appended.

        `state` is that layer's; nothing is appended. With `of_wanted`, `q` has the
        wanted rows alone. Otherwise as `attention`.
        """

    def latent_attention(
        self, q: Value, k: Value, *, state: KeyValues, scale: float
    ) -> Value:
        """Causal attention whose values are the first dimensions of its keys.

        As `attention`, of a `state` that is latent: `k` is appended to it, and the
        first `value_dim` dimensions of a key are its value.
        """

    def head_linear(self, x: Value, weight: Weight) -> Value:
        """Multiply each head by a matrix of its own: (M, n_head * n_in) to n_out each.

        `weight` is (n_head, n_out, n_in), the result (M, n_head * n_out).
        """

    def causal_conv(
        self, x: Value, weight: Weight, bias: Weight | None = None, *, state: Recurrence
    ) -> Value:
        """Convolve each channel of `x` (M, C) along its sequence, up to its row.

        `y[t] = bias + Σ_j weight[:, j] * x[t - K + 1 + j]`: depthwise, with 0 before
        the text. `weight` is (C, K), as one vector; `state` keeps K - 1 inputs. If it
        has `n_after`, a row sees that many inputs after it, all of the text is in the
        pass, and there is 0 after it.
        """

    def delta_rule(
        self,
        q: Value,
        k: Value,
        v: Value,
        decay: Value,
        beta: Value,
        *,
        state: Recurrence,
        key_head: KeyHead,
    ) -> Value:
        """Apply the gated delta rule (Yang et al. 2024, arXiv:2412.06464).

        Of each head a matrix S (key_dim, value_dim) is kept, and each row decays it,
        adds what it does not say yet, and reads it: `S = exp(decay) S`,
        `S += k (beta (v - S^T k))^T`, `y = S^T q`. `q` and `k` are
        (M, n_key_head * key_dim), normed and scaled; `v` is (M, n_head * value_dim),
        `beta` (M, n_head), and `decay` (M, n_head), or (M, n_head * key_dim) with one
        for each row of S (Kimi Team 2025, arXiv:2510.26692). Head h reads key head
        `h // (n_head / n_key_head)` by `"division"`, or `h % n_key_head` by `"modulo"`.
        The result is (M, n_head * value_dim).
        """

    def ssm_scan(
        self,
        x: Value,
        dt: Value,
        b: Value,
        c: Value,
        *,
        a: Weight,
        d: Weight,
        state: Recurrence,
    ) -> Value:
        """Scan as Mamba-2 does (Dao & Gu 2024, arXiv:2405.21060).

        Of each head a matrix S (key_dim, value_dim) is kept: `S = exp(dt a) S`,
        `S += b (dt x)^T`, `y = S^T c + d x`. `x` is (M, n_head * value_dim), `dt`
        (M, n_head), `a` and `d` are (n_head,). `b` and `c` are (M, n_group * key_dim);
        `n_head / n_group` neighbouring heads share them. The result is as wide as `x`.
        """

    def selective_scan(
        self,
        x: Value,
        dt: Value,
        b: Value,
        c: Value,
        *,
        a: Weight,
        d: Weight,
        state: Recurrence,
    ) -> Value:
        """Scan as Mamba does (Gu & Dao 2023, arXiv:2312.00752).

        As `ssm_scan`, with decays and steps of each channel: of C channels a matrix S
        (key_dim, C) is kept, `S = exp(a dt) S`, `S += b (dt x)^T`, `y = S^T c + d x`.
        `x` and `dt` are (M, C), `b` and `c` (M, key_dim), `d` is (C,), and `a`
        (C, key_dim), as one vector. `state` keeps S in parts of `value_dim` channels.
        """

    def silu_mul(self, gate: Value, up: Value) -> Value:
        """`gate * sigmoid(gate) * up`, elementwise (SwiGLU, Shazeer 2020)."""

    def gelu_mul(self, gate: Value, up: Value) -> Value:
        """`gelu(gate) * up`, GELU with tanh for its erf (GEGLU, Shazeer 2020)."""

    def mul(self, x: Value, y: Value) -> Value:
        """Elementwise product."""

    def gelu(self, x: Value) -> Value:
        """GELU with tanh for its erf, `x * (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`.

        Hendrycks & Gimpel 2016 (arXiv:1606.08415).
        """

    def gelu_erf(self, x: Value) -> Value:
        """`x * (1 + erf(x / √2)) / 2`: GELU as it is defined."""

    def gelu_quick(self, x: Value) -> Value:
        """`x * sigmoid(1.702 x)`: GELU's cheapest approximation."""

    def silu(self, x: Value) -> Value:
        """`x * sigmoid(x)`."""

    def sigmoid(self, x: Value) -> Value:
        """`1 / (1 + exp(-x))`."""

    def softplus(self, x: Value) -> Value:
        """`ln(1 + exp(x))`, which is x in float32 where x is large."""

    def relu(self, x: Value) -> Value:
        """`max(x, 0)`."""

    def relu_squared(self, x: Value) -> Value:
        """`max(x, 0)²` (So et al. 2021, arXiv:2109.08668)."""

    def xielu(
        self, x: Value, alpha_p: float, alpha_n: float, beta: float, eps: float
    ) -> Value:
        """Apply xIELU (Huang & Schlag 2024, arXiv:2411.13010).

        `alpha_p * x² + beta * x` above 0, and elsewhere
        `alpha_n * (exp(min(x, eps)) - 1 - x) + beta * x`.
        """

    def scale(self, x: Value, factor: float) -> Value:
        """`factor * x`."""

    def softcap(self, x: Value, cap: float) -> Value:
        """`cap * tanh(x / cap)`: never beyond ±cap (Gemma Team 2024)."""

    def clamp(self, x: Value, least: float, most: float) -> Value:
        """`max(least, min(most, x))`; either bound may be infinite."""

    def gain(self, x: Value, weight: Weight) -> Value:
        """`x * weight`, one factor a column: weight is (n,)."""

    def head_gate(self, x: Value, gate: Value) -> Value:
        """`gate * x`, one factor a head: gate is (M, n_head), x (M, n_head * n)."""

    def sigmoid_gate(self, y: Value, x: Value, weight: Weight) -> Value:
        """`sigmoid(x @ weight) * y`, one factor a row: weight is (n_in,)."""

    def experts(self, x: Value, scores: Value, experts: Experts[Weight]) -> Value:
        """Send each row of `x` through its experts of highest score: (M, n_embd).

        `scores` (M, n_expert) are the router's; of equal scores, or of what is made of
        them, the first comes first, and NaN comes last. The experts' results are added
        up, weighted by their scores: see `Experts`.
        """

    def add(self, x: Value, y: Value) -> Value:
        """Elementwise sum: a residual connection."""

    def columns(self, x: Value, first: int, n: int, *, of: int | None = None) -> Value:
        """Columns `first` to `first + n` of `x`: (M, n).

        Or these of each `of` columns, side by side: (M, width / of * n).
        """

    def join(self, x: Value, y: Value, *, n_head: int = 1) -> Value:
        """Put each of `n_head` parts of `y` after that of `x`: as wide as both."""

    def mean(self, x: Value) -> Value:
        """Means of the rows of each wanted row's text, up to it: (n_wanted, n).

        The texts begin in the pass.
        """

    def wanted(self, x: Value) -> Value:
        """Only the rows of `x` whose logits are wanted: (n_wanted, n)."""


Forward = Callable[[Ops[Any, Any], ModelConfig, Mapping[str, Any]], Any]
"""An architecture's forward pass: (ops, config, weights by name) to logits."""

Embed = Callable[[Ops[Any, Any], ModelConfig, Mapping[str, Any], Pooling], Any]
"""Its embedding pass: to embeddings of texts, or to all rows without pooling."""
