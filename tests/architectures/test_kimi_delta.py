"""Kimi Linear and Ling 3.0 are their papers' formulas, in float64 and row by row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llamacy.errors import FormatError, UnsupportedError
from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.hyperparameters import read_hyperparameters
from tests.support.forward_passes import error, logits_of

Array = NDArray[np.float32]
Tensors = dict[str, Array]
Write = Callable[..., Path]

N_HEAD, HEAD_DIM, N_KERNEL, BOUND = 4, 16, 3, -4.0
N_PLAIN, N_ROTATED, N_LATENT, N_VALUE = 16, 8, 32, 12
TOKENS = np.random.default_rng(4).integers(0, 50, 40).tolist()
KEYS: dict[str, Any] = {
    "block_count": 2,
    "attention__head_count_kv": [0, 1],
    "attention__kv_lora_rank": N_LATENT,
    "attention__key_length": N_LATENT + N_ROTATED,
    "attention__value_length": HEAD_DIM,  # as llama.cpp's converter writes it
    "attention__key_length_mla": N_PLAIN + N_ROTATED,
    "attention__value_length_mla": N_VALUE,
    "rope__dimension_count": N_ROTATED,
    "ssm__conv_kernel": N_KERNEL,
    "kda__head_dim": HEAD_DIM,
    "expert_count": 4,
    "expert_used_count": 2,
    "expert_feed_forward_length": 32,
    "leading_dense_block_count": 2,
}
LING = KEYS | {"kda__gate_lower_bound": BOUND}
OF_FAMILY = {"kimi-linear": KEYS, "bailingmoe3": LING}
LIMIT, SHARED_LIMIT = 0.3, 0.2
"""So low that most products are beyond."""
FLASH = LING | {
    "leading_dense_block_count": 1,
    "expert_shared_count": 1,
    "expert_gating_func": 2,
    "swiglu_clamp_exp": [0.0, LIMIT],
    "swiglu_clamp_shexp": [0.0, SHARED_LIMIT],
}


@pytest.fixture
def write(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
) -> Write:
    """Write a model: (family, tensors, keys)."""

    def write(family: str, tensors: Tensors, keys: dict[str, Any]) -> Path:
        metadata = llama_metadata(family, **keys)
        name = f"{len(list(tmp_path.iterdir()))}.gguf"
        return write_gguf(tmp_path / name, metadata, tensors, "F32")

    return write


def made(
    write: Write,
    random_tensors: Callable[..., Tensors],
    family: str,
    keys: dict[str, Any] | None = None,
) -> Tensors:
    """Make the tensors of a family's model, with a decay in its direction."""
    with open_gguf(write(family, {}, keys or OF_FAMILY[family])) as file:
        architecture, config = read_hyperparameters(file)
    tensors = random_tensors(
        (name, each.shape)
        for name, each in architecture.tensors(config).items()
        if each.is_required
    )
    rates = np.abs(tensors["blk.0.ssm_a"])
    tensors["blk.0.ssm_a"] = rates if family == "bailingmoe3" else -rates
    return tensors


class Formula:
    """A model of two layers, with a delta rule and with attention."""

    def __init__(self, tensors: Tensors, family: str) -> None:
        self.t = {name: each.astype(np.float64) for name, each in tensors.items()}
        self.is_ling = family == "bailingmoe3"

    def logits(self) -> Array:
        x = self.t["token_embd.weight"][TOKENS]
        for layer, mix in enumerate((self.delta_rule, self.attention)):
            x = x + mix(self.norm(x, f"blk.{layer}.attn_norm"))
            h = self.norm(x, f"blk.{layer}.ffn_norm")
            if f"blk.{layer}.ffn_gate_inp.weight" in self.t:
                x = x + self.experts(h)
                continue
            gate, up = (
                self.linear(h, f"blk.{layer}.ffn_{part}") for part in ("gate", "up")
            )
            x = x + self.linear(silu(gate) * up, f"blk.{layer}.ffn_down")
        output = self.norm(x, "output_norm") @ self.t["token_embd.weight"].T
        return np.asarray(output, np.float32)

    def linear(self, x: Any, name: str) -> Any:
        return x @ self.t[f"{name}.weight"].T

    def norm(self, x: Any, name: str) -> Any:
        mean = np.mean(x**2, -1, keepdims=True)
        return x / np.sqrt(mean + 1e-5) * self.t[f"{name}.weight"]

    def delta_rule(self, h: Any) -> Any:
        q, k, v = (self.convolved(h, part) for part in "qkv")
        q, k = (x / np.sqrt(np.sum(x**2, -1, keepdims=True) + 1e-6) for x in (q, k))
        steps, gate = (self.made_of(h, part) for part in "fg")
        steps = heads(steps + self.t["blk.0.ssm_dt.bias"])
        rates = self.t["blk.0.ssm_a"].reshape(N_HEAD, 1)
        if self.is_ling:
            decay = BOUND * sigmoid(rates * steps)
        else:
            decay = rates * np.logaddexp(steps, 0)
        shares = sigmoid(self.linear(h, "blk.0.ssm_beta"))
        rows = []
        for head in range(N_HEAD):
            matrix = np.zeros((HEAD_DIM, HEAD_DIM))
            for t in range(len(h)):
                matrix = np.exp(decay[t, head])[:, None] * matrix
                learned = shares[t, head] * (v[t, head] - matrix.T @ k[t, head])
                matrix = matrix + np.outer(k[t, head], learned)
                rows.append(matrix.T @ q[t, head] / np.sqrt(HEAD_DIM))
        y = np.reshape(rows, (N_HEAD, len(h), HEAD_DIM)).swapaxes(0, 1)
        y = self.norm(y, "blk.0.ssm_norm") * sigmoid(heads(gate))
        return self.linear(y.reshape(len(h), -1), "blk.0.attn_output")

    def convolved(self, h: Any, part: str) -> Any:
        x = self.linear(h, f"blk.0.attn_{part}")
        kernel = self.t[f"blk.0.ssm_conv1d_{part}.weight"].reshape(-1, N_KERNEL)
        past = np.concatenate([np.zeros((N_KERNEL - 1, x.shape[1])), x])
        y = sum(kernel[:, j] * past[j : j + len(x)] for j in range(N_KERNEL))
        return heads(silu(y))

    def made_of(self, h: Any, part: str) -> Any:
        x = self.linear(h, f"blk.0.ssm_{part}_a")
        return x if self.is_ling else self.linear(x, f"blk.0.ssm_{part}_b")

    def attention(self, h: Any) -> Any:
        q = self.linear(h, "blk.1.attn_q").reshape(len(h), N_HEAD, -1)
        both = self.linear(h, "blk.1.attn_kv_a_mqa")
        latent = self.norm(both[:, :N_LATENT], "blk.1.attn_kv_a_norm")
        shared = np.repeat(both[:, None, N_LATENT:], N_HEAD, axis=1)
        if self.is_ling:
            q[..., N_PLAIN:] = rotated(q[..., N_PLAIN:])
            shared = rotated(shared)
        k = np.einsum("tc,hcp->thp", latent, self.t["blk.1.attn_k_b.weight"])
        k = np.concatenate([k, shared], -1)
        v = np.einsum("tc,hoc->tho", latent, self.t["blk.1.attn_v_b.weight"])
        scores = np.einsum("shd,thd->hst", q, k) / np.sqrt(N_PLAIN + N_ROTATED)
        scores += np.triu(np.full((len(h), len(h)), -np.inf), 1)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        y = np.einsum("hst,tho->sho", weights, v)
        if self.is_ling:
            y = y * sigmoid(self.linear(h, "blk.1.attn_gate"))[..., None]
        return self.linear(y.reshape(len(h), -1), "blk.1.attn_output")

    def experts(self, h: Any) -> Any:
        """Two of four, chosen by the sigmoids of their scores, and one for all."""
        gates = sigmoid(self.linear(h, "blk.1.ffn_gate_inp"))
        y = self.network(h, "shexp", None, SHARED_LIMIT)
        for row, gate in enumerate(gates):
            for chosen in np.argsort(-gate)[:2]:
                found = self.network(h[row], "exps", chosen, LIMIT)
                y[row] += gate[chosen] * found
        return y

    def network(self, h: Any, part: str, chosen: Any, limit: float) -> Any:
        gate, up, down = (
            self.t[f"blk.1.ffn_{each}_{part}.weight"] for each in ("gate", "up", "down")
        )
        if chosen is not None:
            gate, up, down = gate[chosen], up[chosen], down[chosen]
        gate = np.minimum(silu(h @ gate.T), limit)
        return (gate * np.clip(h @ up.T, -limit, limit)) @ down.T


def heads(x: Any) -> Any:
    return x.reshape(len(x), N_HEAD, HEAD_DIM)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def silu(x: Any) -> Any:
    return x * sigmoid(x)


def rotated(x: Any) -> Any:
    """Rotate pairs of neighbours by their places in the text."""
    angles = 10000.0 ** (-np.arange(0, N_ROTATED, 2) / N_ROTATED)
    theta = np.arange(len(x)).reshape(-1, 1, 1) * angles
    a, b, out = x[..., ::2], x[..., 1::2], np.empty_like(x)
    out[..., ::2] = a * np.cos(theta) - b * np.sin(theta)
    out[..., 1::2] = a * np.sin(theta) + b * np.cos(theta)
    return out


def as_converted(tensors: Tensors, family: str) -> Tensors:
    """Return the tensors in the shapes of llama.cpp's converter, with fused queries."""
    shaped = dict(tensors)
    for part in "qkv":
        name = f"blk.0.ssm_conv1d_{part}.weight"
        shaped[name] = tensors[name][None]
    if family == "kimi-linear":
        shaped["blk.0.ssm_a"] = tensors["blk.0.ssm_a"].reshape(1, 1, N_HEAD, 1)
    queries = [shaped.pop(f"blk.0.attn_{part}.weight") for part in "qkv"]
    return shaped | {"blk.0.attn_qkv.weight": np.concatenate(queries)}


@pytest.mark.parametrize("family", OF_FAMILY)
@pytest.mark.parametrize("kind", ["reference", "plan"])
def test_a_model_computes_its_formula(
    write: Write, random_tensors: Callable[..., Tensors], family: str, kind: str
) -> None:
    tensors, keys = made(write, random_tensors, family), OF_FAMILY[family]
    want = Formula(tensors, family).logits()
    found = logits_of(write(family, tensors, keys), TOKENS, kind)
    assert error(found, want) < 5e-5
    converted = write(family, as_converted(tensors, family), keys)
    assert error(logits_of(converted, TOKENS, kind), want) < 5e-5


@pytest.mark.parametrize("kind", ["reference", "plan"])
def test_experts_have_bounds(
    write: Write, random_tensors: Callable[..., Tensors], kind: str
) -> None:
    """As in the makers' code for vLLM: silu(gate) from above, and up both ways."""
    tensors = made(write, random_tensors, "bailingmoe3", FLASH)
    want = Formula(tensors, "bailingmoe3").logits()
    found = logits_of(write("bailingmoe3", tensors, FLASH), TOKENS, kind)
    assert error(found, want) < 5e-5
    free = {key: value for key, value in FLASH.items() if "clamp" not in key}
    assert (
        error(logits_of(write("bailingmoe3", tensors, free), TOKENS, kind), want) > 0.1
    )


@pytest.mark.parametrize(
    ("family", "key", "value", "named", "kind"),
    [
        ("bailingmoe3", "kda__gate_lower_bound", 0.0, "below 0", FormatError),
        ("bailingmoe3", "kda__gate_lower_bound", "-5", "a number", FormatError),
        ("bailingmoe3", "swiglu_clamp_exp", [0.0, -7.0], "above 0", FormatError),
        ("bailingmoe3", "swiglu_clamp_shexp", [7.0], "or 2 of them", FormatError),
        ("kimi-linear", "swiglu_clamp_exp", [0.0, 7.0], "swiglu", UnsupportedError),
        (
            *("bailingmoe3", "rope__dimension_sections", [2, 1, 1, 0]),
            *("dimension_sections", UnsupportedError),
        ),
        ("kimi-linear", "kda__head_dim", 0, "kda.head_dim", FormatError),
        ("kimi-linear", "ssm__conv_kernel", 1, "ssm.conv_kernel", FormatError),
        ("kimi-linear", "attention__key_length", 72, "key_length", FormatError),
        ("llama", "kda__gate_lower_bound", -5.0, "kda", UnsupportedError),
    ],
)
def test_settings_that_are_wrong_or_change_the_model_are_refused(
    write: Write, family: str, key: str, value: Any, named: str, kind: type[Exception]
) -> None:
    keys = OF_FAMILY.get(family, {}) | {key: value}
    with (
        open_gguf(write(family, {}, keys)) as file,
        pytest.raises(kind, match=named),
    ):
        read_hyperparameters(file)
