"""Files config.json of tiny models, written by hand: each rule that one may go by."""

from __future__ import annotations

from typing import Any

from llamacy.formats.hugging_face.classes import MODEL_TYPES

N_VOCAB, WINDOW = 64, 6

ABSENT = "absent"
SIZES: dict[str, Any] = {
    "vocab_size": N_VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "pad_token_id": None,
}
OF_TYPE: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 8},
    "qwen2_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 24,
    },
    "qwen3_moe": {
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
        "head_dim": 8,
    },
    "mixtral": {"num_local_experts": 4},
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 8},
    "gemma2": {"head_dim": 8, "query_pre_attn_scalar": 8},
    "gemma3_text": {"head_dim": 8, "query_pre_attn_scalar": 8},
}
SLIDING, FULL = "sliding_attention", "full_attention"
LINEAR = {"rope_type": "linear", "factor": 4.0}
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
WINDOWED = {"use_sliding_window": True, "sliding_window": WINDOW}
SHORT = {"max_position_embeddings": 16}
EIGHT = {"num_attention_heads": 8, "head_dim": 8}
TIED = {"tie_word_embeddings": True}
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"

# a name, the type of the model, and its keys in addition to SIZES
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    # windows
    "qwen2, two of four": ("qwen2", {**WINDOWED, "max_window_layers": 2}),
    "qwen2, all": ("qwen2", {**WINDOWED, "max_window_layers": 0}),
    "qwen2, none reached": ("qwen2", {**WINDOWED, "max_window_layers": 4}),
    "qwen2, usual bound": ("qwen2", WINDOWED),
    "qwen2, switched off": (
        "qwen2",
        {"use_sliding_window": False, "sliding_window": WINDOW, "max_window_layers": 1},
    ),
    "qwen2, null": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": None, "max_window_layers": 1},
    ),
    "qwen2, by layers": (
        "qwen2",
        {**WINDOWED, "max_window_layers": 4, "layer_types": [SLIDING, FULL] * 2},
    ),
    "qwen2, layers full": (
        "qwen2",
        {**WINDOWED, "max_window_layers": 0, "layer_types": [FULL] * 4},
    ),
    "qwen3, one": ("qwen3", {**WINDOWED, "max_window_layers": 3}),
    "qwen3, by layers": ("qwen3", {**WINDOWED, "layer_types": [FULL, SLIDING] * 2}),
    "qwen2 moe, even ones": ("qwen2_moe", WINDOWED),
    "qwen2 moe, below": ("qwen2_moe", {**WINDOWED, "max_window_layers": 2}),
    "qwen2 moe, by layers": (
        "qwen2_moe",
        {**WINDOWED, "layer_types": [FULL, SLIDING] * 2},
    ),
    "qwen3 moe, all": ("qwen3_moe", {**WINDOWED, "max_window_layers": 2}),
    "qwen3 moe, off": ("qwen3_moe", {**WINDOWED, "use_sliding_window": False}),
    "smollm3, without positions": ("smollm3", WINDOWED),
    "smollm3, by layers": ("smollm3", {**WINDOWED, "layer_types": [SLIDING, FULL] * 2}),
    "smollm3, by layers, off": (
        "smollm3",
        {"sliding_window": WINDOW, "layer_types": [SLIDING, FULL] * 2},
    ),
    "smollm3, off": ("smollm3", {"sliding_window": WINDOW}),
    "mistral": ("mistral", {"sliding_window": WINDOW}),
    "mistral, by layers": (
        "mistral",
        {"sliding_window": WINDOW, "layer_types": [SLIDING, FULL] * 2, "head_dim": 8},
    ),
    "ministral": ("ministral", {"sliding_window": WINDOW, "head_dim": 8}),
    "ministral, by layers": (
        "ministral",
        {"sliding_window": WINDOW, "layer_types": [FULL, SLIDING] * 2, "head_dim": 8},
    ),
    "mixtral, by layers": (
        "mixtral",
        {"sliding_window": WINDOW, "layer_types": [SLIDING, FULL] * 2},
    ),
    "mistral, null": ("mistral", {"sliding_window": None}),
    "mixtral": ("mixtral", {"sliding_window": WINDOW}),
    "llama with a window": ("llama", {"sliding_window": WINDOW, **WINDOWED}),
    "phi3": ("phi3", {"sliding_window": WINDOW}),
    "gemma2, by layers": (
        "gemma2",
        {"sliding_window": WINDOW, "layer_types": [FULL, FULL, SLIDING, SLIDING]},
    ),
    "gemma2, pattern": (
        "gemma2",
        {"sliding_window": WINDOW, "sliding_window_pattern": 3},
    ),
    "gemma3, pattern": (
        "gemma3_text",
        {"sliding_window": WINDOW, "sliding_window_pattern": 2},
    ),
    "gemma3, old pattern": (
        "gemma3_text",
        {"sliding_window": WINDOW, "_sliding_window_pattern": 2},
    ),
    "gemma3, both": (
        "gemma3_text",
        {
            "sliding_window": WINDOW,
            "sliding_window_pattern": 2,
            "layer_types": [FULL, SLIDING, SLIDING, FULL],
        },
    ),
    "olmo3": ("olmo3", {"sliding_window": WINDOW, "layer_types": [FULL, SLIDING] * 2}),
    "gpt-oss": (
        "gpt_oss",
        {"sliding_window": WINDOW, "layer_types": [FULL, SLIDING, SLIDING, SLIDING]},
    ),
    # absent, null, false
    "llama, heads null": ("llama", {"num_key_value_heads": None}),
    "qwen2, heads null": ("qwen2", {"num_key_value_heads": None}),
    "smollm3, heads null": ("smollm3", {"num_key_value_heads": None}),
    "llama, heads absent": ("llama", {"num_key_value_heads": ABSENT}),
    "smollm3, heads absent": ("smollm3", {"num_key_value_heads": ABSENT}),
    "mistral, heads absent": ("mistral", {**EIGHT, "num_key_value_heads": ABSENT}),
    "mixtral, heads absent": ("mixtral", {**EIGHT, "num_key_value_heads": ABSENT}),
    "gemma2, heads absent": ("gemma2", {**EIGHT, "num_key_value_heads": ABSENT}),
    "llama, head_dim null": ("llama", {"head_dim": None}),
    "llama, head_dim": ("llama", {"head_dim": 12}),
    "qwen2, head_dim": ("qwen2", {"head_dim": 12}),
    "qwen3, head_dim absent": ("qwen3", {"head_dim": ABSENT}),
    "gemma3, head_dim absent": ("gemma3_text", {"head_dim": ABSENT}),
    "gpt-oss, head_dim absent": ("gpt_oss", {"head_dim": ABSENT}),
    "phi3, eps absent": ("phi3", {}),
    "gemma3, scalar absent": ("gemma3_text", {"query_pre_attn_scalar": ABSENT}),
    "gemma3, capped": ("gemma3_text", {"final_logit_softcapping": 3.0}),
    "qwen3 moe, norm absent": ("qwen3_moe", {}),
    "mixtral, alias": ("mixtral", {"num_local_experts": ABSENT, "num_experts": 4}),
    "qwen3 moe, alias": ("qwen3_moe", {"num_experts": ABSENT, "num_local_experts": 4}),
    # biases
    "llama, attention_bias": ("llama", {"attention_bias": True}),
    "llama, mlp_bias": ("llama", {"mlp_bias": True}),
    "smollm3, biases": ("smollm3", {"attention_bias": True, "mlp_bias": True}),
    "granite, biases": ("granite", {"attention_bias": True, "mlp_bias": True}),
    "qwen2, not its keys": ("qwen2", {"attention_bias": False, "mlp_bias": True}),
    "mistral, not its keys": ("mistral", {"attention_bias": True, "mlp_bias": True}),
    "qwen2 moe, no biases": ("qwen2_moe", {"qkv_bias": False}),
    "gpt-oss, no biases": ("gpt_oss", {"attention_bias": False}),
    # tied embeddings
    "tied": ("llama", TIED),
    "untied absent": ("qwen2", {"tie_word_embeddings": ABSENT}),
    "tied absent": ("gemma3_text", {"tie_word_embeddings": ABSENT}),
    "smollm3, tied absent": ("smollm3", {"tie_word_embeddings": ABSENT}),
    # rotations
    "theta": ("llama", {"rope_theta": 77.0}),
    "smollm3, theta absent": ("smollm3", {}),
    "mixtral, theta absent": ("mixtral", {}),
    "gpt-oss, rope absent": ("gpt_oss", {}),
    "gpt-oss, rope null": ("gpt_oss", {"rope_parameters": None}),
    "gpt-oss, theta": ("gpt_oss", {"rope_theta": 99.0}),
    "parameters": ("llama", {"rope_parameters": {**LINEAR, "rope_theta": 55.0}}),
    "parameters, theta beside": (
        "llama",
        {"rope_parameters": {**LINEAR, "rope_theta": 55.0}, "rope_theta": 7.0},
    ),
    "parameters without theta": (
        "llama",
        {"rope_parameters": LINEAR, "rope_theta": 7.0},
    ),
    "scaling beside parameters": (
        "llama",
        {
            "rope_parameters": {"rope_type": "default", "rope_theta": 5.0},
            "rope_scaling": LINEAR,
        },
    ),
    "empty scaling": ("llama", {"rope_scaling": {}, "rope_parameters": LINEAR}),
    "scaling false": ("llama", {"rope_scaling": False, "rope_theta": 7.0}),
    "quantised by nothing": ("llama", {"quantization_config": {}}),
    "gemma3, theta null": ("gemma3_text", {"rope_theta": None}),
    "olmo3, local theta null": ("olmo3", {"rope_local_base_freq": None}),
    "empty parameters": ("llama", {"rope_parameters": {}, "rope_theta": 7.0}),
    "scaling": ("llama", {"rope_scaling": LINEAR, "rope_theta": 7.0}),
    "scaling, old name": ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
    "scaling, both names": (
        "llama",
        {"rope_scaling": {"type": "yarn", "rope_type": "linear", "factor": 2.0}},
    ),
    "scaling, default": ("llama", {"rope_scaling": {"type": "default"}}),
    "yarn": ("llama", {"rope_scaling": YARN}),
    "yarn, constants": (
        "llama",
        {
            "rope_scaling": {
                **YARN,
                "beta_fast": 8.0,
                "beta_slow": 2.0,
                "attention_factor": 0.7,
            }
        },
    ),
    "yarn, mscale": (
        "llama",
        {"rope_scaling": {**YARN, "mscale": 0.7, "mscale_all_dim": 1.3}},
    ),
    "yarn, no original": ("llama", {"rope_scaling": {"type": "yarn", "factor": 4.0}}),
    "yarn, original outside": (
        "llama",
        {
            "rope_scaling": {"type": "yarn", "factor": 4.0},
            "original_max_position_embeddings": 8,
        },
    ),
    "llama3": ("llama", {"rope_scaling": LLAMA3}),
    "llama3, qwen2": ("qwen2", {"rope_scaling": LLAMA3}),
    "partial": ("llama", {"partial_rotary_factor": 0.5}),
    "partial, inside": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.5,
            }
        },
    ),
    "phi3, partial": ("phi3", {"partial_rotary_factor": 0.5}),
    "phi3, partial inside": (
        "phi3",
        {
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.5,
            }
        },
    ),
    "gemma3, flat": (
        "gemma3_text",
        {"rope_parameters": {**LINEAR, "rope_theta": 55.0}},
    ),
    "gemma3, nested": (
        "gemma3_text",
        {
            "rope_parameters": {
                FULL: {**LINEAR, "rope_theta": 55.0},
                SLIDING: {"rope_type": "default", "rope_theta": 33.0},
            }
        },
    ),
    "gemma3, scaling": (
        "gemma3_text",
        {"rope_scaling": LINEAR, "rope_theta": 55.0, "rope_local_base_freq": 9.0},
    ),
    "gemma3, half nested": ("gemma3_text", {"rope_parameters": {FULL: LINEAR}}),
    "olmo3, scaling": ("olmo3", {"rope_scaling": YARN, "rope_theta": 55.0}),
    "olmo3, nested": (
        "olmo3",
        {
            "rope_parameters": {
                FULL: {**LINEAR, "rope_theta": 55.0},
                SLIDING: {"rope_type": "default", "rope_theta": 33.0},
            }
        },
    ),
    "dynamic, short": ("llama", {"rope_scaling": DYNAMIC}),
    "dynamic, long": ("llama", {**SHORT, "rope_scaling": DYNAMIC}),
    "dynamic, qwen2": ("qwen2", {**SHORT, "rope_scaling": DYNAMIC, "rope_theta": 1e6}),
}


def settings(model_type: str, changes: dict[str, Any]) -> dict[str, Any]:
    values = SIZES | OF_TYPE.get(model_type, {}) | changes
    values |= {"model_type": model_type, "architectures": [MODEL_TYPES[model_type]]}
    return {key: each for key, each in values.items() if each != ABSENT}


# configs that transformers cannot run, either
IMPOSSIBLE: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2, switched off": ("qwen2", {"layer_types": [FULL, SLIDING] * 2}),
    "qwen3, null": (
        "qwen3",
        {**WINDOWED, "sliding_window": None, "layer_types": [FULL, SLIDING] * 2},
    ),
    "layers of another number": ("qwen3", {**WINDOWED, "layer_types": [FULL] * 3}),
    "a layer of an unknown kind": ("qwen3", {**WINDOWED, "layer_types": ["new"] * 4}),
    "heads that do not divide": ("llama", {"num_key_value_heads": 3}),
    "partial and scaled": (
        "llama",
        {"partial_rotary_factor": 0.5, "rope_scaling": LINEAR},
    ),
}

NEEDED: dict[str, dict[str, Any]] = {
    "Glm4MoeForCausalLM": {"head_dim": 128},
    "GraniteMoeHybridForCausalLM": {"layer_types": ["mamba", "attention"] * 16},
    "NemotronHForCausalLM": {
        "layers_block_type": ["mamba", "mlp", "attention", "mamba", "moe"],
        "num_hidden_layers": 5,
    },
    "DeepseekV2ForCausalLM": {"num_experts_per_tok": 6},
    "Dots1ForCausalLM": {"n_routed_experts": 128, "num_experts_per_tok": 6},
    **dict.fromkeys(
        ("JinaBertModel", "JinaBertCodeModel", "JinaBertForSequenceClassification"),
        {"position_embedding_type": "alibi", "feed_forward_type": "geglu"},
    ),
}
"""Keys of classes whose defaults are those of no model."""
