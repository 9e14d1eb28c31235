"""Tensors that some families store in a layout of their own have GGUF's in the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.errors import ArgumentError, FormatError, UnsupportedError
from llamacy.formats.hugging_face import open_hugging_face
from llamacy.formats.hugging_face.layouts import ungrouped
from tests.support.hugging_face import write_json, write_safetensors

Array = NDArray[np.float32]
Tensors = dict[str, Array]
RNG = np.random.default_rng(0)
N_EMBD, N_HEAD, HEAD_DIM, N_VOCAB, N_CTX = 32, 4, 8, 20, 16

GPT2 = {
    "architectures": ["GPT2LMHeadModel"],
    "n_embd": N_EMBD,
    "n_layer": 1,
    "n_head": N_HEAD,
    "n_positions": N_CTX,
    "vocab_size": N_VOCAB,
}
FALCON = {
    "architectures": ["FalconForCausalLM"],
    "hidden_size": N_EMBD,
    "num_hidden_layers": 1,
    "num_attention_heads": N_HEAD,
    "vocab_size": N_VOCAB,
}
STABLELM = {
    "architectures": ["StableLmForCausalLM"],
    "hidden_size": N_EMBD,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": N_HEAD,
    "num_key_value_heads": 2,
    "vocab_size": N_VOCAB,
    "qk_layernorm": True,
    "use_parallel_residual": True,
    "tie_word_embeddings": True,
}
APERTUS = {
    "architectures": ["ApertusForCausalLM"],
    "hidden_size": N_EMBD,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": N_HEAD,
    "vocab_size": N_VOCAB,
    "tie_word_embeddings": True,
}


def noise(*shape: int, scale: float = 1.0) -> Array:
    return RNG.standard_normal(shape, np.float32) * np.float32(scale)


def norm(name: str) -> Tensors:
    return {f"{name}.{suffix}": noise(N_EMBD) for suffix in ("weight", "bias")}


def gpt2(start: str = "transformer.") -> Tensors:
    """As OpenAI's own files have it: matrices are (n_in, n_out)."""
    h = f"{start}h.0."
    shapes = {
        "attn.c_attn": (N_EMBD, 3 * N_EMBD),
        "attn.c_proj": (N_EMBD, N_EMBD),
        "mlp.c_fc": (N_EMBD, 4 * N_EMBD),
        "mlp.c_proj": (4 * N_EMBD, N_EMBD),
    }
    return {
        f"{start}wte.weight": noise(N_VOCAB, N_EMBD),
        f"{start}wpe.weight": noise(N_CTX, N_EMBD),
        **norm(f"{start}ln_f"),
        **norm(f"{h}ln_1"),
        **norm(f"{h}ln_2"),
        **{
            f"{h}{name}.weight": noise(*shape, scale=0.2)
            for name, shape in shapes.items()
        },
        **{f"{h}{name}.bias": noise(shape[1]) for name, shape in shapes.items()},
        f"{h}attn.bias": np.ones((N_CTX, N_CTX), np.float32),
    }


def falcon(n_head_kv: int) -> Tensors:
    h = "transformer.h.0."
    n_rows = (N_HEAD + 2 * n_head_kv) * HEAD_DIM
    return {
        "transformer.word_embeddings.weight": noise(N_VOCAB, N_EMBD),
        **norm("transformer.ln_f"),
        **norm(f"{h}input_layernorm"),
        f"{h}self_attention.query_key_value.weight": noise(n_rows, N_EMBD),
        f"{h}self_attention.dense.weight": noise(N_EMBD, N_EMBD),
        f"{h}mlp.dense_h_to_4h.weight": noise(4 * N_EMBD, N_EMBD),
        f"{h}mlp.dense_4h_to_h.weight": noise(N_EMBD, 4 * N_EMBD),
    }


def llama_like(attn_norm: str, ffn: dict[str, tuple[int, int]], n_kv: int) -> Tensors:
    layer = "model.layers.0."
    return {
        "model.embed_tokens.weight": noise(N_VOCAB, N_EMBD),
        f"{layer}{attn_norm}.weight": noise(N_EMBD),
        **{
            f"{layer}self_attn.{part}_proj.weight": noise(n, N_EMBD)
            for part, n in {"q": N_EMBD, "k": n_kv, "v": n_kv, "o": N_EMBD}.items()
        },
        **{f"{layer}mlp.{name}.weight": noise(*shape) for name, shape in ffn.items()},
    }


def stablelm() -> Tensors:
    ffn = {"gate_proj": (64, N_EMBD), "up_proj": (64, N_EMBD)}
    tensors = llama_like("input_layernorm", ffn | {"down_proj": (N_EMBD, 64)}, 16)
    attn = "model.layers.0.self_attn."
    for part, n in (("q", N_HEAD), ("k", 2)):
        for head in range(n):
            tensors[f"{attn}{part}_layernorm.norms.{head}.weight"] = noise(HEAD_DIM)
    return {
        **tensors,
        **norm("model.norm"),
        "model.layers.0.input_layernorm.bias": noise(N_EMBD),
    }


def apertus() -> Tensors:
    ffn = {"up_proj": (64, N_EMBD), "down_proj": (N_EMBD, 64)}
    layer = "model.layers.0."
    return {
        **llama_like("attention_layernorm", ffn, N_EMBD),
        f"{layer}feedforward_layernorm.weight": noise(N_EMBD),
        "model.norm.weight": noise(N_EMBD),
        f"{layer}self_attn.q_norm.weight": noise(HEAD_DIM),
        f"{layer}self_attn.k_norm.weight": noise(HEAD_DIM),
        f"{layer}mlp.act_fn.alpha_p": np.array([0.5], np.float32),
        f"{layer}mlp.act_fn.alpha_n": np.array([-0.25], np.float32),
        f"{layer}mlp.act_fn.beta": np.array(0.5, np.float32),
        f"{layer}mlp.act_fn.eps": np.array(-1e-6, np.float32),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def write(config: dict[str, Any], tensors: Tensors) -> Path:
        write_json(tmp_path / "config.json", config)
        write_safetensors(tmp_path / "model.safetensors", tensors)
        return tmp_path

    return write


def read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    with open_hugging_face(path) as file:
        return (
            {name: each.dequantize() for name, each in file.tensors.items()},
            file.metadata,
        )


@pytest.mark.parametrize("start", ["transformer.", ""], ids=["whole", "bare"])
def test_matrices_of_gpt_2_are_turned(folder: Callable[..., Path], start: str) -> None:
    tensors = gpt2(start)
    got, metadata = read(folder(GPT2, tensors))
    h = f"{start}h.0."
    for ours, theirs in {
        "attn_qkv": "attn.c_attn",
        "attn_output": "attn.c_proj",
        "ffn_up": "mlp.c_fc",
        "ffn_down": "mlp.c_proj",
    }.items():
        want = tensors[f"{h}{theirs}.weight"].T
        np.testing.assert_array_equal(got[f"blk.0.{ours}.weight"], want)
        bias = tensors[f"{h}{theirs}.bias"]
        np.testing.assert_array_equal(got[f"blk.0.{ours}.bias"], bias)
    wpe = tensors[f"{start}wpe.weight"]
    np.testing.assert_array_equal(got["position_embd.weight"], wpe)
    assert len(got) == 16  # without the mask
    assert metadata["gpt2.feed_forward_length"] == 4 * N_EMBD
    assert metadata["gpt2.context_length"] == N_CTX


def test_gpt_2_runs_up_to_its_last_position(folder: Callable[..., Path]) -> None:
    path = folder(GPT2, gpt2())
    ids = [1, 2, 3] * 5
    with llamacy.load(path, n_threads=1) as model:
        want = np.asarray(model.logits(ids))
        assert model.n_ctx == N_CTX
    with llamacy.load(path, n_threads=1, quantize="Q8_0") as model:
        got = np.asarray(model.logits(ids))
    assert 0 < np.abs(got - want).max() < 0.1 * want.std()
    with pytest.raises(ArgumentError, match="n_ctx: wanted at most 16, .*, found 17"):
        llamacy.load(path, n_threads=1, n_ctx=17)


@pytest.mark.parametrize(("n_head_kv", "is_new"), [(1, False), (2, True)])
def test_queries_keys_and_values_of_falcon_are_put_apart(
    folder: Callable[..., Path], n_head_kv: int, is_new: bool
) -> None:
    tensors = falcon(n_head_kv)
    keys = {"new_decoder_architecture": is_new, "num_kv_heads": n_head_kv}
    keys |= {"num_ln_in_parallel_attn": 1}
    got, metadata = read(folder(FALCON | keys, tensors))
    rows = tensors["transformer.h.0.self_attention.query_key_value.weight"]
    heads = rows.reshape(-1, HEAD_DIM, N_EMBD)
    group = N_HEAD // n_head_kv
    kinds = np.arange(len(heads)) % (group + 2)
    order = [heads[kinds < group], heads[kinds == group], heads[kinds == group + 1]]
    want = np.concatenate(order).reshape(rows.shape)
    np.testing.assert_array_equal(got["blk.0.attn_qkv.weight"], want)
    assert metadata["falcon.attention.head_count_kv"] == n_head_kv
    assert metadata["falcon.hidden_activation"] == "gelu_erf"
    short = rows[:-HEAD_DIM]
    tensors["transformer.h.0.self_attention.query_key_value.weight"] = short
    with pytest.raises(FormatError, match="query_key_value.*shape: wanted .* rows"):
        read(folder(FALCON | keys, tensors))


def test_groups_of_one_head_are_gpt_neox_order() -> None:
    rows = np.arange(3 * 2 * 4)  # two heads of four, each q, k, v
    q, k, v = ungrouped(rows, 2, 4).reshape(3, 8)
    np.testing.assert_array_equal(q, [0, 1, 2, 3, 12, 13, 14, 15])
    np.testing.assert_array_equal(k, q + 4)
    np.testing.assert_array_equal(v, q + 8)


def test_norms_of_heads_are_one_tensor(folder: Callable[..., Path]) -> None:
    tensors = stablelm()
    got, metadata = read(folder(STABLELM, tensors))
    attn = "model.layers.0.self_attn."
    for part, n in (("q", N_HEAD), ("k", 2)):
        names = [f"{attn}{part}_layernorm.norms.{head}.weight" for head in range(n)]
        want = np.stack([tensors[name] for name in names])
        np.testing.assert_array_equal(got[f"blk.0.attn_{part}_norm.weight"], want)
    assert "blk.0.ffn_norm.weight" not in got
    assert metadata["stablelm.use_parallel_residual"] is True
    del tensors[f"{attn}q_layernorm.norms.2.weight"]
    with pytest.raises(FormatError, match="attn_q_norm.weight: wanted 4 norms"):
        read(folder(STABLELM, tensors))
    with pytest.raises(FormatError, match="post_attention_layernorm.weight: wanted"):
        read(folder(STABLELM | {"use_parallel_residual": False}, stablelm()))


def test_constants_of_layers_are_keys(folder: Callable[..., Path]) -> None:
    tensors = apertus()
    got, metadata = read(folder(APERTUS, tensors))
    assert not any("act_fn" in name for name in got)
    constants = [metadata[f"xielu.{key}"][0] for key in ("alpha_p", "alpha_n", "beta")]
    assert constants == [0.5, -0.25, 0.5]
    name = "model.layers.0.mlp.act_fn.beta"
    for wrong in (noise(2), np.array([np.nan], np.float32), None):
        bad = {key: each for key, each in tensors.items() if key != name}
        if wrong is not None:
            bad[name] = wrong
        with pytest.raises(FormatError, match=r"act_fn\.beta: wanted"):
            read(folder(APERTUS, bad))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GPT2 | {"scale_attn_weights": False}, "scale_attn_weights: wanted True"),
        (GPT2 | {"activation_function": "relu"}, "hidden_act: wanted gelu_new"),
        (FALCON | {"alibi": True}, "alibi: wanted False"),
        (FALCON | {"parallel_attn": False}, "parallel_attn: wanted True"),
    ],
)
def test_settings_that_change_a_family_are_refused(
    folder: Callable[..., Path], config: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        read(folder(config, {"x": noise(2)}))
