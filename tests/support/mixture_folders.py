"""Folders of random mixtures of experts, in each form of Hugging Face's files.

`experts` makes tensors in GGUF's form, and one function per form converts them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.hugging_face import write_json, write_tensors

Array = NDArray[Any]
Tensors = dict[str, Array]

N_EXPERT, N_FF, N_EMBD, N_VOCAB = 3, 256, 128, 20
CONFIG: dict[str, Any] = {
    "hidden_size": N_EMBD,
    "intermediate_size": N_FF,
    "max_position_embeddings": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": N_EMBD // 2,
    "attention_bias": False,
    "num_hidden_layers": 2,
    "rms_norm_eps": 1e-5,
    "vocab_size": N_VOCAB,
    "num_local_experts": N_EXPERT,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": N_FF,
    "norm_topk_prob": True,
}
GATE, UP, DOWN = (f"ffn_{part}_exps" for part in ("gate", "up", "down"))
RNG = np.random.default_rng(0)


def noise(*shape: int, dtype: Any = np.float32) -> Array:
    return RNG.standard_normal(shape, np.float32).astype(dtype)


def experts(dtype: Any = np.float32) -> dict[str, Array]:
    """Return a layer's experts in GGUF's form: (n_expert, n_out, n_in) by part."""
    gate, up = (noise(N_EXPERT, N_FF, N_EMBD, dtype=dtype) for _ in "gu")
    return {GATE: gate, UP: up, DOWN: noise(N_EXPERT, N_EMBD, N_FF, dtype=dtype)}


def others(prefix: str, router: str) -> Tensors:
    """Return a layer's tensors other than experts."""
    names = [f"self_attn.{each}_proj" for each in "qkvo"]
    made = {f"{prefix}{name}.weight": noise(N_EMBD, N_EMBD) for name in names}
    for name in ("input", "post_attention"):
        made[f"{prefix}{name}_layernorm.weight"] = noise(N_EMBD)
    return made | {f"{prefix}{router}.weight": noise(N_EXPERT, N_EMBD)}


def write(folder: Path, family: str, layer: Callable[[str], Tensors]) -> Path:
    """Write a model of two layers; `layer(prefix)` makes the tensors of one."""
    tensors = {
        "model.embed_tokens.weight": noise(N_VOCAB, N_EMBD),
        "model.norm.weight": noise(N_EMBD),
        "lm_head.weight": noise(N_VOCAB, N_EMBD),
    }
    for i in range(2):
        tensors |= layer(f"model.layers.{i}.")
    folder.mkdir(exist_ok=True)
    write_tensors(folder, tensors)
    write_json(folder / "config.json", CONFIG | {"architectures": [family]})
    return folder


def one_by_one(parts: dict[str, Array], prefix: str, *names: str) -> Tensors:
    return {
        f"{prefix}experts.{i}.{name}.weight": np.ascontiguousarray(parts[part][i])
        for part, name in zip((GATE, UP, DOWN), names, strict=True)
        for i in range(N_EXPERT)
    }


def mixtral(prefix: str, parts: dict[str, Array]) -> Tensors:
    module = f"{prefix}block_sparse_moe."
    return others(prefix, "block_sparse_moe.gate") | one_by_one(
        parts, module, "w1", "w3", "w2"
    )


def merged(prefix: str, parts: dict[str, Array]) -> Tensors:
    gate_up = np.concatenate([parts[GATE], parts[UP]], axis=1)
    return others(prefix, "mlp.gate") | {
        f"{prefix}mlp.experts.gate_up_proj": gate_up,
        f"{prefix}mlp.experts.down_proj": parts[DOWN],
    }


def qwen3(prefix: str, parts: dict[str, Array]) -> Tensors:
    norms = {
        f"{prefix}self_attn.{each}_norm.weight": noise(N_EMBD // 2) for each in "qk"
    }
    names = ("gate_proj", "up_proj", "down_proj")
    made = others(prefix, "mlp.gate") | norms
    return made | one_by_one(parts, f"{prefix}mlp.", *names)


def gpt_oss(prefix: str, biases: dict[str, Array]) -> Tensors:
    gate_up = np.stack([biases[GATE], biases[UP]], axis=2)
    made = others(prefix, "mlp.router")
    made |= {f"{prefix}self_attn.sinks": noise(2)}
    made |= {f"{prefix}mlp.router.bias": noise(N_EXPERT)}
    return made | {
        f"{prefix}mlp.experts.gate_up_proj_bias": gate_up.reshape(N_EXPERT, -1),
        f"{prefix}mlp.experts.down_proj_bias": biases[DOWN],
    }


def turned(prefix: str, parts: dict[str, Array], biases: dict[str, Array]) -> Tensors:
    by_turns = np.stack([parts[GATE], parts[UP]], axis=2).reshape(N_EXPERT, -1, N_EMBD)
    return gpt_oss(prefix, biases) | {
        f"{prefix}mlp.experts.gate_up_proj": np.ascontiguousarray(
            by_turns.swapaxes(1, 2)
        ),
        f"{prefix}mlp.experts.down_proj": np.ascontiguousarray(
            parts[DOWN].swapaxes(1, 2)
        ),
    }


def some_biases() -> dict[str, Array]:
    return {part: noise(N_EXPERT, n) for part, n in sizes().items()}


def sizes() -> dict[str, int]:
    return {GATE: N_FF, UP: N_FF, DOWN: N_EMBD}


FORMS = {
    "mixtral": ("MixtralForCausalLM", mixtral),
    "mixtral, merged": ("MixtralForCausalLM", merged),
    "qwen3": ("Qwen3MoeForCausalLM", qwen3),
    "gpt-oss": (
        "GptOssForCausalLM",
        lambda prefix, parts: turned(prefix, parts, some_biases()),
    ),
}


VALUES = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])


def blocks_of(n_out: int, n_in: int) -> tuple[Array, Array, Array]:
    """Return random blocks and scales, and their weights by OpenAI's description."""
    shape = (N_EXPERT, n_out, n_in // 32)
    blocks = RNG.integers(0, 256, (*shape, 16), np.uint8)
    scales = RNG.integers(120, 130, shape, np.uint8)
    pairs = np.stack([VALUES[blocks & 15], VALUES[blocks >> 4]], axis=-1)
    weights = pairs.reshape(*shape, 32) * 2.0 ** (scales[..., None] - 127.0)
    return blocks, scales, weights.reshape(N_EXPERT, n_out, n_in).astype(np.float32)


def mxfp4(folder: Path, change: Callable[[Tensors], None] | None = None) -> Tensors:
    """Write a model with MXFP4 experts; return a layer's weights, gate and up merged.

    `change` may alter a layer's tensors.
    """
    gate_up, down = blocks_of(2 * N_FF, N_EMBD), blocks_of(N_EMBD, N_FF)

    def layer(prefix: str) -> Tensors:
        made = gpt_oss(prefix, some_biases())
        for name, (blocks, scales, _) in (("gate_up", gate_up), ("down", down)):
            made[f"{prefix}mlp.experts.{name}_proj_blocks"] = blocks
            made[f"{prefix}mlp.experts.{name}_proj_scales"] = scales
        if change is not None:
            change(made)
        return made

    write(folder, "GptOssForCausalLM", layer)
    return {GATE: gate_up[2][:, ::2], UP: gate_up[2][:, 1::2], DOWN: down[2]}
