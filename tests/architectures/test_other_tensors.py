"""Tensors that may be there in other forms, and those that must not be there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import FormatError, UnsupportedError

Array = NDArray[np.float32]
Tensors = dict[str, Array]
N_EMBD, N_FF, N_VOCAB, N_KV = 64, 96, 50, 32
IDS = [3, 1, 4, 1, 5]
RNG = np.random.default_rng(3)


def noise(*shape: int) -> Array:
    return RNG.standard_normal(shape, np.float32) / np.float32(8)


@pytest.fixture
def logits(
    tmp_path: Path,
    write_gguf: Callable[..., Path],
    llama_metadata: Callable[..., dict[str, Any]],
) -> Callable[..., Array]:
    """Return the logits of a model of one layer with these tensors."""

    def run(tensors: Tensors, family: str = "llama", **more: Any) -> Array:
        keys = {"block_count": 1, "attention__head_count": 4}
        keys |= {"attention__head_count_kv": 2, "feed_forward_length": N_FF} | more
        metadata = llama_metadata(family, **keys)
        path = write_gguf(tmp_path / "m.gguf", metadata, tensors, "F32")
        with llamacy.load(path, kv_type="f32", n_threads=1) as model:
            assert model.config.n_embd == N_EMBD
            return model.logits(IDS)

    return run


def plain() -> Tensors:
    ones = np.ones(N_EMBD, np.float32)
    return {
        "token_embd.weight": noise(N_VOCAB, N_EMBD),
        "output_norm.weight": ones,
        "blk.0.attn_norm.weight": ones,
        "blk.0.ffn_norm.weight": ones,
        "blk.0.attn_q.weight": noise(N_EMBD, N_EMBD),
        "blk.0.attn_k.weight": noise(N_KV, N_EMBD),
        "blk.0.attn_v.weight": noise(N_KV, N_EMBD),
        "blk.0.attn_output.weight": noise(N_EMBD, N_EMBD),
        "blk.0.ffn_gate.weight": noise(N_FF, N_EMBD),
        "blk.0.ffn_up.weight": noise(N_FF, N_EMBD),
        "blk.0.ffn_down.weight": noise(N_EMBD, N_FF),
    }


def fused(tensors: Tensors, suffix: str) -> Tensors:
    made = dict(tensors)
    parts = [made.pop(f"blk.0.attn_{part}.{suffix}") for part in "qkv"]
    return made | {f"blk.0.attn_qkv.{suffix}": np.concatenate(parts)}


BIASES = {
    f"blk.0.attn_{part}.bias": noise(n)
    for part, n in (("q", N_EMBD), ("k", N_KV), ("v", N_KV))
}


def test_queries_keys_and_values_may_be_one_matrix(
    logits: Callable[..., Array],
) -> None:
    tensors = plain()
    want = logits(tensors)
    np.testing.assert_array_equal(logits(fused(tensors, "weight")), want)
    both = {**tensors, **BIASES}
    want = logits(both)
    one = fused(both, "weight")
    np.testing.assert_array_equal(logits(one), want)
    np.testing.assert_array_equal(logits(fused(one, "bias")), want)


def test_queries_keys_and_values_of_phi_3_may_be_three(
    logits: Callable[..., Array],
) -> None:
    tensors = plain()
    tensors["blk.0.ffn_up.weight"] = noise(2 * N_FF, N_EMBD)
    del tensors["blk.0.ffn_gate.weight"]
    want = logits(fused(tensors, "weight"), "phi3")
    np.testing.assert_array_equal(logits(tensors, "phi3"), want)


def test_gate_and_up_may_be_one_matrix(logits: Callable[..., Array]) -> None:
    tensors = plain() | {
        f"blk.0.ffn_{part}.bias": noise(N_FF) for part in ("gate", "up")
    }
    want = logits(tensors)
    for suffix in ("weight", "bias"):
        parts = [tensors.pop(f"blk.0.ffn_{part}.{suffix}") for part in ("gate", "up")]
        tensors[f"blk.0.ffn_up.{suffix}"] = np.concatenate(parts)
    np.testing.assert_array_equal(logits(tensors), want)


@pytest.mark.parametrize("family", ["llama", "smollm3", "granite"])
def test_biases_are_added_in_every_family(
    logits: Callable[..., Array], family: str
) -> None:
    tensors = plain()
    assert np.abs(logits({**tensors, **BIASES}) - logits(tensors)).max() > 1e-3


@pytest.mark.parametrize(
    "name",
    [
        "foo.weight",
        "blk.0.attn_q_norm.weight",
        "blk.1.attn_q.weight",
        "blk.0.attn_qkv.weight",  # beside the three
        "blk.0.attn_norm.scale",
        "blk.0.attn_norm.input_scale",
        "blk.0.attn_qkv.scale",  # of no matrix
        "output.scale",
        "output.bias",
    ],
)
def test_tensors_that_the_family_does_not_have_are_refused(
    logits: Callable[..., Array], name: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"tensor: wanted .*, found {name}"):
        logits(plain() | {name: np.full(1, 3, np.float32)})


def test_harmless_tensors_are_passed_over(logits: Callable[..., Array]) -> None:
    tensors = plain()
    want = logits(tensors)
    more = {
        "blk.0.attn_q.scale": np.ones(1, np.float32),
        "blk.0.ffn_norm.scale": np.ones(1, np.float32),
        "blk.0.ffn_up.input_scale": np.full(1, 3, np.float32),
        "blk.0.nextn.eh_proj.weight": noise(N_EMBD, 2 * N_EMBD),
        "v.blk.0.attn_q.weight": noise(8, 8),
        "mm.input_projection.weight": noise(8, 8),
        "blk.0.attn_rot_embd.weight": noise(8),
    }
    np.testing.assert_array_equal(logits(tensors | more), want)


MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up")


@pytest.mark.parametrize("name", [*MATRICES, "ffn_down"])
def test_scales_multiply_what_their_matrix_makes(
    logits: Callable[..., Array], name: str
) -> None:
    """Exactly, since a power of two rounds nothing."""
    tensors = plain()
    matrix = f"blk.0.{name}.weight"
    want = logits(tensors | {matrix: 4 * tensors[matrix]})
    scale = {f"blk.0.{name}.scale": np.full(1, 4, np.float32)}
    np.testing.assert_array_equal(logits(tensors | scale), want)
    assert np.abs(logits(tensors) - want).max() > 1e-3


def test_the_scale_of_an_output_matrix(logits: Callable[..., Array]) -> None:
    tensors = plain() | {"output.weight": noise(N_VOCAB, N_EMBD)}
    scale = {"output.scale": np.full(1, 3, np.float32)}
    want = 3 * logits(tensors)
    np.testing.assert_allclose(logits(tensors | scale), want, rtol=1e-6)


def test_a_scale_of_a_matrix_of_several_is_of_all(
    logits: Callable[..., Array],
) -> None:
    tensors = plain()
    three = np.full(1, 3, np.float32)
    parts = {f"blk.0.attn_{part}.scale": three for part in "qkv"}
    whole = fused(tensors, "weight") | {"blk.0.attn_qkv.scale": three}
    np.testing.assert_array_equal(logits(whole), logits(tensors | parts))

    two = np.full(1, 2, np.float32)
    tensors["blk.0.ffn_up.weight"] = noise(2 * N_FF, N_EMBD)
    del tensors["blk.0.ffn_gate.weight"]
    want = logits(
        tensors | {"blk.0.ffn_up.weight": 2 * tensors["blk.0.ffn_up.weight"]}, "phi3"
    )
    got = logits(tensors | {"blk.0.ffn_up.scale": two}, "phi3")
    np.testing.assert_array_equal(got, want)


def test_scales_of_attention_leave_biases_and_those_of_networks_do_not(
    logits: Callable[..., Array],
) -> None:
    """As in llama.cpp, which adds the bias before it scales in networks alone."""
    tensors, four = plain(), np.full(1, 4, np.float32)
    q, up = "blk.0.attn_q", "blk.0.ffn_up"
    biased = tensors | {f"{q}.bias": noise(N_EMBD), f"{up}.bias": noise(N_FF)}
    scales = {f"{q}.scale": four, f"{up}.scale": four}
    folded = {
        name: 4 * biased[name] for name in (f"{q}.weight", f"{up}.weight", f"{up}.bias")
    }
    np.testing.assert_array_equal(logits(biased | scales), logits(biased | folded))


def test_a_scale_of_another_shape_is_named(logits: Callable[..., Array]) -> None:
    scale = {"blk.0.attn_q.scale": np.ones(2, np.float32)}
    with pytest.raises(FormatError, match=r"attn_q\.scale: shape: wanted \(1,\)"):
        logits(plain() | scale)


def test_layers_that_predict_further_tokens_are_left_out(
    logits: Callable[..., Array],
) -> None:
    tensors = plain()
    further = {
        name.replace("blk.0", "blk.1"): values
        for name, values in tensors.items()
        if name.startswith("blk.0")
    }
    draft = {"blk.1.nextn.eh_proj.weight": noise(N_EMBD, 2 * N_EMBD)}
    keys: dict[str, Any] = {"block_count": 2, "nextn_predict_layers": 1}
    keys["attention__head_count_kv"] = [2, 2]
    got = logits(tensors | further | draft, **keys)
    np.testing.assert_array_equal(got, logits(tensors))
    with pytest.raises(UnsupportedError, match=r"found blk\.1\."):
        logits(tensors | further, **keys)
    with pytest.raises(FormatError, match="nextn_predict_layers: wanted 0 to 1"):
        logits(tensors, block_count=2, nextn_predict_layers=2)
