"""Tiny folders of Kimi Linear and Ling 3.0, as their makers write them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Tensors = dict[str, Array]

N_EMBD, N_FF, N_VOCAB, N_HEAD, HEAD_DIM, N_KERNEL = 32, 48, 20, 2, 8, 3
N_PLAIN, N_ROTATED, N_LATENT, N_VALUE, N_EXPERT = 8, 4, 16, 6, 2
N = N_HEAD * HEAD_DIM
SIZES: dict[str, Any] = {
    "hidden_size": N_EMBD,
    "intermediate_size": N_FF,
    "num_hidden_layers": 2,
    "num_attention_heads": N_HEAD,
    "num_key_value_heads": N_HEAD,
    "vocab_size": N_VOCAB,
    "kv_lora_rank": N_LATENT,
    "qk_nope_head_dim": N_PLAIN,
    "qk_rope_head_dim": N_ROTATED,
    "v_head_dim": N_VALUE,
    "num_experts": N_EXPERT,
    "moe_intermediate_size": 16,
    "num_shared_experts": 1,
    "first_k_dense_replace": 1,
    "rms_norm_eps": 1e-6,
}
KDA = {"head_dim": HEAD_DIM, "num_heads": N_HEAD, "short_conv_kernel_size": N_KERNEL}
KIMI: dict[str, Any] = SIZES | {
    "architectures": ["KimiLinearForCausalLM"],
    "model_type": "kimi_linear",
    "linear_attn_config": KDA | {"full_attn_layers": [2], "kda_layers": [1]},
    "head_dim": 72,
    "mla_use_nope": True,
    "model_max_length": 1024,
    "moe_layer_freq": 1,
    "moe_renormalize": True,
    "moe_router_activation_func": "sigmoid",
    "num_expert_group": 1,
    "num_experts_per_token": 1,
    "num_nextn_predict_layers": 0,
    "q_lora_rank": None,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "routed_scaling_factor": 2.446,
    "tie_word_embeddings": False,
    "topk_group": 1,
    "use_grouped_topk": True,
}
LING: dict[str, Any] = SIZES | {
    "architectures": ["BailingMoeV3ForCausalLM"],
    "model_type": "bailing_hybrid",
    "expert_swiglu_limit_list": None,
    "share_expert_swiglu_limit_list": [None, 0, 0.0],
    "gated_attention_proj_granularity_type": "head_wise",
    "group_norm_size": 1,
    "head_dim": HEAD_DIM,
    "kda_lower_bound": -5,
    "kda_safe_gate": True,
    "layer_group_size": 2,
    "linear_silu": True,
    "max_position_embeddings": 1024,
    "max_window_layers": 20,
    "moe_router_enable_expert_bias": True,
    "moe_shared_expert_intermediate_size": 16,
    "n_group": 1,
    "no_kda_lora": True,
    "norm_topk_prob": True,
    "num_experts_per_tok": 1,
    "num_kv_heads_for_linear_attn": 0,
    "num_nextn_predict_layers": 1,
    "partial_rotary_factor": 0.5,
    "q_lora_rank": 8,
    "rope_interleave": True,
    "rope_parameters": {
        "partial_rotary_factor": 0.5,
        "rope_theta": 6000000,
        "rope_type": "default",
    },
    "rope_theta": 6000000,
    "rotary_dim": N_ROTATED,
    "routed_scaling_factor": 2.5,
    "router_dtype": "fp32",
    "score_function": "sigmoid",
    "scoring_func": "sigmoid",
    "seq_aux": True,
    "short_conv_kernel_size": N_KERNEL,
    "topk_group": 1,
    "topk_method": "noaux_tc",
    "use_qk_norm": True,
}


def tensors(shapes: dict[str, tuple[int, ...]], prefix: str = "") -> Tensors:
    """Return tensors of these shapes, each of other values."""
    return {
        prefix + name: np.random.default_rng(len(name) + sum(map(ord, name)))
        .standard_normal(shape)
        .astype(np.float32)
        for name, shape in shapes.items()
    }


def rule() -> dict[str, tuple[int, ...]]:
    """Return the shapes that layers with the delta rule have in both families."""
    return {
        **{f"{part}_proj.weight": (N, N_EMBD) for part in "qkv"},
        **{f"{part}_conv1d.weight": (N, 1, N_KERNEL) for part in "qkv"},
        "A_log": (1, 1, N_HEAD, 1),
        "dt_bias": (N,),
        "b_proj.weight": (N_HEAD, N_EMBD),
        "o_norm.weight": (HEAD_DIM,),
        "o_proj.weight": (N_EMBD, N),
    }


def latent(out: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of latent attention, but for queries."""
    return {
        "kv_a_proj_with_mqa.weight": (N_LATENT + N_ROTATED, N_EMBD),
        "kv_a_layernorm.weight": (N_LATENT,),
        "kv_b_proj.weight": (N_HEAD * (N_PLAIN + N_VALUE), N_LATENT),
        f"{out}.weight": (N_EMBD, N_HEAD * N_VALUE),
    }


def networks(module: str, names: tuple[str, str, str], bias: str) -> Tensors:
    """Return a dense network and, in layer 1, experts of these names."""
    shapes: dict[str, tuple[int, ...]] = {}
    sizes = (16, N_EMBD), (16, N_EMBD), (N_EMBD, 16)
    for part, shape in zip(names, sizes, strict=True):
        for number in range(N_EXPERT):
            shapes[f"layers.1.{module}.experts.{number}.{part}.weight"] = shape
    for part, shape in (("gate", (16, N_EMBD)), ("up", (16, N_EMBD))):
        shapes[f"layers.1.{module}.shared_experts.{part}_proj.weight"] = shape
        shapes[f"layers.0.mlp.{part}_proj.weight"] = (N_FF, N_EMBD)
    shapes[f"layers.1.{module}.shared_experts.down_proj.weight"] = (N_EMBD, 16)
    shapes["layers.0.mlp.down_proj.weight"] = (N_EMBD, N_FF)
    shapes[f"layers.1.{module}.gate.weight"] = (N_EXPERT, N_EMBD)
    shapes[f"layers.1.{module}.gate.{bias}"] = (N_EXPERT,)
    for layer in range(2):
        for place in ("input", "post_attention"):
            shapes[f"layers.{layer}.{place}_layernorm.weight"] = (N_EMBD,)
    return tensors(shapes, "model.")


def kimi() -> Tensors:
    """Return the tensors of a Kimi Linear under Moonshot's names."""
    narrow = {f"{part}_a_proj.weight": (HEAD_DIM, N_EMBD) for part in "fg"}
    wide = {f"{part}_b_proj.weight": (N, HEAD_DIM) for part in "fg"}
    queries = {"q_proj.weight": (N_HEAD * (N_PLAIN + N_ROTATED), N_EMBD)}
    return {
        **tensors({"embed_tokens.weight": (N_VOCAB, N_EMBD)}, "model."),
        **tensors({"model.norm.weight": (N_EMBD,), "lm_head.weight": (20, N_EMBD)}),
        **tensors(rule() | narrow | wide, "model.layers.0.self_attn."),
        **tensors(latent("o_proj") | queries, "model.layers.1.self_attn."),
        **networks("block_sparse_moe", ("w1", "w3", "w2"), "e_score_correction_bias"),
    }


def ling() -> Tensors:
    """Return the tensors of a Ling under its makers' names, one layer drafts."""
    wide = {f"{part}_proj.weight": (N, N_EMBD) for part in "fg"}
    gated = {
        "g_proj.weight": (N_HEAD, N_EMBD),
        "q_a_proj.weight": (8, N_EMBD),
        "q_a_layernorm.weight": (8,),
        "q_b_proj.weight": (N_HEAD * (N_PLAIN + N_ROTATED), 8),
    }
    made = {
        **tensors({"word_embeddings.weight": (N_VOCAB, N_EMBD)}, "model."),
        **tensors({"model.norm.weight": (N_EMBD,), "lm_head.weight": (20, N_EMBD)}),
        **tensors(rule() | wide, "model.layers.0.attention."),
        **tensors(latent("dense") | gated, "model.layers.1.attention."),
        **networks("mlp", ("gate_proj", "up_proj", "down_proj"), "expert_bias"),
    }
    drafting = {
        name.replace("layers.1.", "layers.2."): values
        for name, values in made.items()
        if name.startswith("model.layers.1.")
    }
    end = tensors({"eh_proj.weight": (N_EMBD, 2 * N_EMBD)}, "model.layers.2.")
    return made | drafting | end


OFFICIAL = {"kimi": (KIMI, kimi), "ling": (LING, ling)}
