"""Keys and defaults of the classes in `router_families`: see `classes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llamacy.formats.hugging_face.common_keys import ALL, Defaults
from llamacy.formats.hugging_face.other_classes import COHERE

_DEEPSEEK: Final[Defaults] = {
    **ALL,
    "attention_bias": False,
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
}

ROUTER_DEFAULTS: Final[Mapping[str, Defaults]] = {
    "Glm4MoeForCausalLM": {
        **_DEEPSEEK,
        "vocab_size": 151552,
        "hidden_size": 4096,
        "intermediate_size": 10944,
        "num_hidden_layers": 46,
        "num_attention_heads": 96,
        "num_key_value_heads": 8,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "partial_rotary_factor": 0.5,
        "use_qk_norm": False,
        "moe_intermediate_size": 1408,
        "num_experts_per_tok": 8,
        "n_routed_experts": 128,
        "n_shared_experts": 1,
        "first_k_dense_replace": 1,
        "norm_topk_prob": True,
        # layers after those counted, which are passed over
        "num_nextn_predict_layers": 1,
    },
    "Dots1ForCausalLM": {
        **_DEEPSEEK,
        "vocab_size": 152064,
        "hidden_size": 4608,
        "intermediate_size": 10944,
        "num_hidden_layers": 62,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "max_position_embeddings": 2048,
        "sliding_window": 4096,
        "max_window_layers": 62,
        "layer_types": None,
        "moe_intermediate_size": 1408,
        "num_experts_per_tok": None,
        "n_routed_experts": None,
        "n_shared_experts": None,
        "first_k_dense_replace": 0,
        "norm_topk_prob": False,
    },
    "Ernie4_5_MoeForCausalLM": {
        **ALL,
        "vocab_size": 103424,
        "hidden_size": 2560,
        "intermediate_size": 12288,
        "num_hidden_layers": 28,
        "num_attention_heads": 20,
        "num_key_value_heads": 4,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "rope_theta": 5e5,
        "tie_word_embeddings": True,
        "use_bias": False,
        "moe_intermediate_size": 1536,
        "moe_k": 6,
        "moe_num_experts": 64,
        "moe_num_shared_experts": 2,
        "moe_layer_start_index": 1,
        "moe_layer_end_index": -1,
        "moe_layer_interval": 1,
        # the least sum of weights, which only gates of nothing reach
        "moe_norm_min": 1e-12,
    },
    "HunYuanMoEV1ForCausalLM": {
        **ALL,
        "vocab_size": 290943,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "attention_bias": False,
        "num_experts": 1,
        "moe_topk": 1,
    },
    "Cohere2MoeForCausalLM": {
        **COHERE,
        "head_dim": 128,
        "sliding_window": 4096,
        "layer_types": None,
        "rms_norm_eps": None,
        "sliding_window_pattern": 4,
        "prefix_dense_sliding_window_pattern": 1,
        "prefix_dense_intermediate_size": None,
        "first_k_dense_replace": 0,
        "mlp_layer_types": None,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "num_shared_experts": 0,
        "shared_expert_combination_strategy": "average",
        "expert_selection_fn": "softmax",
        "norm_topk_prob": True,
    },
}
"""Keys that a class reads, with their defaults, by the name of the class."""
