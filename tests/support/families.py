"""Tiny models of every family: the keys of their files, and optional tensors."""

from __future__ import annotations

from typing import Any

WINDOW, N_PROMPT, N_TOKENS = 20, 90, 100
HEADS = {"attention__key_length": 24, "attention__value_length": 24}
GEMMA = HEADS | {"attention__sliding_window": WINDOW}
SCALES = {"embedding_scale": 3.0, "residual_scale": 0.4, "logit_scale": 5.0}
YARN = {
    "rope__scaling__type": "yarn",
    "rope__scaling__factor": 4.0,
    "rope__scaling__original_context_length": 32,
}
GROWING = {
    "attention__temperature_scale": 0.5,
    "attention__temperature_length": 32,
    "rope__scaling__yarn_log_multiplier": 0.1,
}
EPS = {"attention__layer_norm_epsilon": 1e-5}
XIELU: dict[str, Any] = {
    "xielu.alpha_p": [0.4, 0.7],
    "xielu.alpha_n": [0.1, -0.3],
    "xielu.beta": [0.5, 0.5],
    "xielu.eps": [-1e-6, -1e-6],
}
EXPERTS = {
    "expert_count": 6,
    "expert_used_count": 2,
    "expert_feed_forward_length": 24,
    "expert_shared_count": 2,
    "leading_dense_block_count": 1,
    "block_count": 3,
}
LFM2: dict[str, Any] = {
    "block_count": 4,
    "attention__head_count_kv": [0, 2, 0, 1],
    "shortconv__l_cache": 3,
}
SMALL_EXPERTS = {
    "expert_count": 4,
    "expert_used_count": 2,
    "expert_feed_forward_length": 24,
    "expert_shared_feed_forward_length": 40,
}
DELTA_RULE: dict[str, Any] = {
    **HEADS,
    "block_count": 4,
    "rope__dimension_count": 8,
    "ssm__conv_kernel": 4,
    "ssm__state_size": 8,
    "ssm__group_count": 2,
    "ssm__time_step_rank": 4,
    "ssm__inner_size": 48,
}
SCAN: dict[str, Any] = {
    "block_count": 4,
    "ssm__conv_kernel": 4,
    "ssm__state_size": 8,
    "ssm__group_count": 2,
    "ssm__time_step_rank": 4,
    "ssm__inner_size": 48,
}
NEMOTRON_H_MOE: dict[str, Any] = {
    **SCAN,
    **SMALL_EXPERTS,
    "attention__head_count_kv": [0, 0, 2, 0],
    "feed_forward_length": [0, 24, 0, 24],
}
JAMBA: dict[str, Any] = {
    "block_count": 4,
    "attention__head_count_kv": [0, 0, 2, 0],
    "ssm__conv_kernel": 4,
    "ssm__state_size": 8,
    "ssm__time_step_rank": 12,
    "ssm__inner_size": 48,
}
JAMBA_EXPERTS: dict[str, Any] = {"expert_count": 4, "expert_used_count": [0, 2, 0, 2]}
GROUPS = {"expert_group_count": 3, "expert_group_used_count": 2}
LATENT: dict[str, Any] = {
    "attention__head_count_kv": 1,
    "attention__kv_lora_rank": 40,
    "attention__key_length": 48,
    "attention__value_length": 40,
    "attention__key_length_mla": 20,
    "attention__value_length_mla": 24,
    "rope__dimension_count": 8,
}
KIMI: dict[str, Any] = {
    **LATENT,
    **EXPERTS,
    "block_count": 4,
    "attention__head_count_kv": [0, 1, 0, 1],
    "attention__value_length": 72,  # as in Moonshot's files, where nobody reads it
    "ssm__conv_kernel": 4,
    "kda__head_dim": 8,
    "expert_weights_scale": 2.5,
}
GEMMA4: dict[str, Any] = {
    "block_count": 6,
    "attention__key_length": 32,
    "attention__value_length": 32,
    "attention__key_length_swa": 16,
    "attention__value_length_swa": 16,
    "rope__dimension_count": 32,
    "rope__dimension_count_swa": 16,
    "attention__sliding_window": WINDOW,
    "attention__sliding_window_pattern": [True, True, False, True, True, False],
    "feed_forward_length": [96, 96, 96, 160, 160, 160],
    "final_logit_softcapping": 3.0,
}
SHARED: dict[str, Any] = GEMMA4 | {
    "attention__shared_kv_layers": 3,
    "embedding_length_per_layer_input": 32,
}
GEMMA4_EXPERTS: dict[str, Any] = GEMMA4 | {
    "attention__head_count_kv": [2, 2, 1, 2, 2, 1],
    "expert_count": 5,
    "expert_used_count": 2,
    "expert_feed_forward_length": 64,
}
LONG = {"rope__scaling__original_context_length": 32}

# For each model: family, keys in addition to conftest.py's, and optional tensors.
MODELS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "llama, window": ("llama", {"attention__sliding_window": WINDOW}, ()),
    "qwen2": ("qwen2", {}, ()),
    "qwen3": ("qwen3", HEADS, ()),
    "gemma2": ("gemma2", GEMMA, ()),
    "gemma2, capped": (
        "gemma2",
        GEMMA | {"attn_logit_softcapping": 1.0, "final_logit_softcapping": 2.0},
        (),
    ),
    "gemma3": ("gemma3", GEMMA | {"block_count": 7}, ()),
    "gemma3, linear": (
        "gemma3",
        GEMMA | {"block_count": 7, "rope__scaling__factor": 8.0},
        (),
    ),
    "gemma3, every other": (
        "gemma3",
        GEMMA | {"block_count": 7, "attention__sliding_window_pattern": 2},
        (),
    ),
    "gemma4": ("gemma4", GEMMA4, ("attn_v.weight",)),
    "gemma4, shared": ("gemma4", SHARED, ("attn_v.weight", "output_scale.weight")),
    "gemma4, experts": ("gemma4", GEMMA4_EXPERTS, ("ffn_down_exps.scale",)),
    # which of them come first may turn on a rounded digit
    "gemma4, all experts": (
        "gemma4",
        GEMMA4_EXPERTS | {"expert_used_count": 5},
        (),
    ),
    "phi3": ("phi3", {}, ()),
    "phi3, window": ("phi3", {"attention__sliding_window": WINDOW}, ()),
    "phi3, partial rotary": ("phi3", {"rope__dimension_count": 12}, ()),
    "phi3, factors": ("phi3", LONG, ("factors_long.weight", "factors_short.weight")),
    "smollm3": ("smollm3", {"block_count": 4}, ()),
    "gpt2": ("gpt2", EPS | {"attention__head_count_kv": 4}, ()),
    "starcoder2": ("starcoder2", EPS, (".bias",)),
    "starcoder2, no biases": ("starcoder2", EPS, ()),
    "starcoder2, window": ("starcoder2", EPS | {"attention__sliding_window": 20}, ()),
    "phi2": ("phi2", EPS | {"rope__dimension_count": 8}, ()),
    "gemma": ("gemma", HEADS, ()),
    "command-r": ("command-r", EPS | {"logit_scale": 0.2}, ()),
    "command-r, norms": ("command-r", EPS | {"logit_scale": 0.2}, ("_norm.weight",)),
    "cohere2": (
        "cohere2",
        EPS | {"attention__sliding_window": WINDOW, "block_count": 5},
        (),
    ),
    "stablelm": (
        "stablelm",
        EPS | {"rope__dimension_count": 4, "use_parallel_residual": True},
        ("ffn_norm.weight", "ffn_norm.bias", "attn_q.bias", "attn_v.bias"),
    ),
    "stablelm, 12b": ("stablelm", EPS, ("q_norm.weight", "k_norm.weight")),
    "falcon, 7b": ("falcon", EPS | {"attention__head_count_kv": 1}, ()),
    "falcon, 40b": ("falcon", EPS, ("norm_2.weight", "norm_2.bias")),
    "falcon, erf": ("falcon", EPS | {"hidden_activation": "gelu_erf"}, ()),
    "gptneox": ("gptneox", EPS | {"use_parallel_residual": True}, ()),
    "gptneox, in turn": ("gptneox", EPS | {"use_parallel_residual": False}, ()),
    "arcee": ("arcee", {}, ()),
    "apertus": ("apertus", XIELU, ()),
    "apertus, one for all": (
        "apertus",
        XIELU | {"xielu.alpha_p": 1.5, "xielu.alpha_n": 0.5},
        (),
    ),
    "lfm2": ("lfm2", LFM2, ()),
    "lfm2, a window": (
        "lfm2",
        LFM2 | {"attention__sliding_window": WINDOW, "shortconv__l_cache": 7},
        (),
    ),
    "lfm3": (
        "lfm3",
        LFM2
        | {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [False, True, False, False],
            "shortconv__l_cache": 7,
        },
        ("blk.1.attn_gate.weight", "blk.3.attn_gate.weight")
        + tuple(
            f"blk.{layer}.{norm}.weight"
            for layer in range(4)
            for norm in ("post_attention_norm", "post_ffw_norm")
        ),
    ),
    "lfm2moe": (
        "lfm2moe",
        LFM2 | EXPERTS | {"expert_shared_count": 0, "block_count": 4},
        ("blk.2.exp_probs_b.bias", "blk.3.exp_probs_b.bias"),
    ),
    "glm4moe": (
        "glm4moe",
        EXPERTS | {"rope__dimension_count": 4, "expert_weights_scale": 1.5},
        ("exp_probs_b.bias",),
    ),
    "glm4moe, large": (
        "glm4moe",
        EXPERTS | GROUPS | {"expert_weights_norm": True},
        ("exp_probs_b.bias", "q_norm.weight", "k_norm.weight"),
    ),
    "glm4moe, sizes of layers": (
        "glm4moe",
        {**EXPERTS, "rope__dimension_count": 4, "expert_used_count": [0, 2, 3]}
        | {"expert_feed_forward_length": [0, 24, 40]},
        ("exp_probs_b.bias",),
    ),
    "deepseek2, v2": ("deepseek2", LATENT | EXPERTS, ()),
    "deepseek2, v3": (
        "deepseek2",
        {**LATENT, **EXPERTS, **GROUPS, **YARN, "attention__q_lora_rank": 24}
        | {"rope__scaling__yarn_log_multiplier": 0.07, "expert_weights_norm": True}
        | {"expert_gating_func": 2, "expert_weights_scale": 2.5},
        ("exp_probs_b.bias",),
    ),
    "deepseek2, v2 with groups": (
        "deepseek2",
        {**LATENT, **EXPERTS, **GROUPS, "expert_count": 9},
        (),
    ),
    "deepseek2, growing queries": (
        "deepseek2",
        {**LATENT, **EXPERTS, **YARN, **GROWING},
        (),
    ),
    "mistral4": (
        "mistral4",
        {**LATENT, **EXPERTS, **GROUPS, **YARN, **GROWING, "expert_count": 9}
        | {"expert_weights_norm": True, "leading_dense_block_count": 0},
        (),
    ),
    "deepseek2, dense": ("deepseek2", LATENT, ()),
    "dots1": ("dots1", EXPERTS | {"expert_gating_func": 3}, ("exp_probs_b.bias",)),
    "ernie4_5-moe": (
        "ernie4_5-moe",
        {**EXPERTS, "expert_shared_feed_forward_length": 40},
        ("exp_probs_b.bias",),
    ),
    "ernie4_5-moe, none shared": (
        "ernie4_5-moe",
        {**EXPERTS, "expert_shared_count": 0},
        (),
    ),
    "hunyuan-moe": ("hunyuan-moe", {"expert_count": 5, "expert_used_count": 2}, ()),
    "bailingmoe2": (
        "bailingmoe2",
        EXPERTS | GROUPS | {"expert_shared_feed_forward_length": 24},
        ("exp_probs_b.bias",),
    ),
    "cohere2moe": (
        "cohere2moe",
        EXPERTS
        | EPS
        | {"attention__sliding_window": WINDOW, "block_count": 5, "logit_scale": 0.2}
        | {"attention__layer_norm_rms_epsilon": 0.0},
        (),
    ),
    "cohere2moe, rms": (
        "cohere2moe",
        {**EXPERTS, "expert_gating_func": 1, "expert_shared_count": 0}
        | {"attention__sliding_window": WINDOW, "block_count": 5, "logit_scale": 0.2},
        (),
    ),
    "laguna": (
        "laguna",
        {**EXPERTS, **YARN, "block_count": 5, "expert_shared_count": 1}
        | {"attention__key_length": 16, "attention__value_length": 16}
        | {"attention__head_count": [4, 6, 6, 6, 4], "expert_weights_norm": True}
        | {"attention__sliding_window": WINDOW, "rope__freq_base_swa": 5e3}
        | {"rope__dimension_count": 8, "rope__dimension_count_swa": 16},
        ("exp_probs_b.bias",),
    ),
    "phimoe": (
        "phimoe",
        LONG | {"expert_count": 5, "expert_used_count": 2},
        ("factors_long.weight", "factors_short.weight", "output.bias", "_q.bias"),
    ),
    "phimoe, converted": (
        "phimoe",
        EPS
        | {"expert_count": 5, "expert_used_count": 2, "router_jitter_noise": 0.2}
        | {"attention__layer_norm_rms_epsilon": 0.0},
        (),
    ),
    "granite": ("granite", SCALES | {"attention__scale": 0.1}, ()),
    "granite, no positions": ("granite", {"rope__scaling__finetuned": False}, ()),
    "olmo2": ("olmo2", {}, ()),
    "olmo2, windows": (
        "olmo2",
        YARN | {"attention__sliding_window": WINDOW, "block_count": 4},
        (),
    ),
    "olmo2, first windowed": (
        "olmo2",
        {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [True, False],
        },
        (),
    ),
    "qwen2vl": ("qwen2vl", {"rope__dimension_sections": [2, 3, 3, 0]}, ()),
    "qwen3vl": ("qwen3vl", HEADS | {"n_deepstack_layers": 2}, ()),
    "mistral3": ("mistral3", {}, ()),
    "mistral3, growing": (
        "mistral3",
        YARN
        | {
            "attention__temperature_scale": 0.7,
            "rope__scaling__yarn_log_multiplier": 1.0,
        },
        (),
    ),
    "mistral3, yarn": (
        "mistral3",
        YARN | {"attention__temperature_scale": 0.7},
        (),
    ),
    "mistral3, dynamic": (
        "mistral3",
        {
            "context_length": 32,
            "rope__scaling__dynamic_factor": 3.0,
            "attention__temperature_scale": 0.7,
        },
        (),
    ),
    "exaone4": ("exaone4", {}, ()),
    "exaone4, windows": (
        "exaone4",
        {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [True, False],
        },
        (),
    ),
    "glm4": ("glm4", {"rope__dimension_count": 8}, ()),
    "glm4, sections": (
        "glm4",
        {"rope__dimension_count": 8, "rope__dimension_sections": [1, 1, 2, 0]},
        (),
    ),
    "seed_oss": ("seed_oss", HEADS, ("q.bias", "k.bias", "v.bias")),
    "ernie4_5": ("ernie4_5", {}, ()),
    "hunyuan-dense": ("hunyuan-dense", HEADS, ()),
    "minicpm": ("minicpm", SCALES, ()),
    "minicpm, old": ("minicpm", {}, ()),
    "internlm2": ("internlm2", {}, ()),
    "granitemoe, dense": ("granitemoe", SCALES | {"attention__scale": 0.1}, ()),
    "granite_swa": (
        "granite_swa",
        {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [False, True],
        },
        (),
    ),
    "granite_swa, positions": (
        "granite_swa",
        {
            "attention__sliding_window": WINDOW,
            "attention__sliding_window_pattern": [False, True],
            "attention__rope_pattern": [True, False],
        },
        (),
    ),
    "qwen35": ("qwen35", DELTA_RULE, ()),
    "qwen35, alternating": (
        "qwen35",
        DELTA_RULE | {"attention__recurrent_layers": [True, False] * 2},
        (),
    ),
    "qwen35, interval": ("qwen35", DELTA_RULE | {"full_attention_interval": 3}, ()),
    "qwen35moe": ("qwen35moe", DELTA_RULE | SMALL_EXPERTS, ()),
    "qwen3next": ("qwen3next", DELTA_RULE | SMALL_EXPERTS, ()),
    "kimi-linear": ("kimi-linear", KIMI, ("exp_probs_b.bias",)),
    "kimi-linear, groups": (
        "kimi-linear",
        KIMI
        | GROUPS
        | {"attention__q_lora_rank": 24, "expert_gating_func": 2}
        | {"expert_weights_norm": False},
        (),
    ),
    "bailingmoe3": (
        "bailingmoe3",
        KIMI
        | GROUPS
        | {"kda__gate_lower_bound": -3.0, "expert_weights_norm": True}
        | {"expert_shared_feed_forward_length": 40, "attention__q_lora_rank": 24},
        ("exp_probs_b.bias",),
    ),
    "bailingmoe3, no bound": (
        "bailingmoe3",
        KIMI | {"kda__safe_gate": False, "kda__gate_lower_bound": -3.0},
        (),
    ),
    "granitehybrid": (
        "granitehybrid",
        SCAN | SCALES | {"attention__head_count_kv": [0, 0, 2, 0]},
        ("ssm_conv1d.bias",),
    ),
    "granitehybrid, no positions": (
        "granitehybrid",
        SCAN
        | SMALL_EXPERTS
        | {"attention__head_count_kv": [0, 0, 2, 0], "ssm__group_count": 1}
        | {"rope__scaling__finetuned": False},
        (),
    ),
    "falcon-h1": ("falcon-h1", SCAN, ()),
    "falcon-h1, norm": ("falcon-h1", SCAN, ("ssm_norm.weight",)),
    "nemotron_h": (
        "nemotron_h",
        SCAN
        | {"attention__head_count_kv": [0, 0, 2, 0]}
        | {"feed_forward_length": [0, 96, 0, 0]},
        (),
    ),
    "nemotron_h_moe": ("nemotron_h_moe", NEMOTRON_H_MOE, ("exp_probs_b.bias",)),
    "nemotron_h_moe, groups": (
        "nemotron_h_moe",
        NEMOTRON_H_MOE | GROUPS | {"expert_count": 6, "expert_weights_scale": 1.5},
        (),
    ),
    "nemotron_h_moe, latent": (
        "nemotron_h_moe",
        NEMOTRON_H_MOE | {"moe_latent_size": 32, "expert_weights_norm": True},
        ("shexp.bias", "latent_down.bias", "latent_up.bias"),
    ),
    "nemotron_h_moe, layers apart": (
        "nemotron_h_moe",
        NEMOTRON_H_MOE
        | {"expert_used_count": [0, 1, 0, 3], "feed_forward_length": [0, 24, 0, 40]}
        | {"expert_feed_forward_length": [0, 24, 0, 40]},
        (),
    ),
    "nemotron_h_moe, a network": (
        "nemotron_h_moe",
        NEMOTRON_H_MOE
        | {"expert_used_count": [0, 2, 0, 0], "feed_forward_length": [0, 24, 0, 96]},
        (),
    ),
    "jamba": ("jamba", JAMBA, ("ssm_conv1d.bias",)),
    "jamba, experts": ("jamba", JAMBA | JAMBA_EXPERTS, ("ssm_conv1d.bias",)),
    "mamba": (
        "mamba",
        JAMBA | {"attention__head_count": 0, "feed_forward_length": 0},
        (),
    ),
    "mamba, norms": (
        "mamba",
        JAMBA
        | {"attention__head_count": 0, "feed_forward_length": 0}
        | {"ssm__dt_b_c_rms": True},
        (),
    ),
    "mamba2": (
        "mamba2",
        SCAN | {"attention__head_count": 0, "feed_forward_length": 0},
        (),
    ),
}
