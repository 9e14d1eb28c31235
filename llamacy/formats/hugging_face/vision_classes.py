"""Keys and defaults of the texts of classes in `vision_families`: see `classes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llamacy.formats.hugging_face.common_keys import RMS, Defaults

_QWEN2VL: Final[Defaults] = {
    **RMS,
    "vocab_size": 152064,
    "hidden_size": 8192,
    "intermediate_size": 29568,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 80,
    "layer_types": None,
    "rope_theta": 1e6,
    "vision_config": None,
}
_QWEN3VL: Final[Defaults] = {
    **RMS,
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "head_dim": 128,
    "max_position_embeddings": 128000,
    "rope_theta": 5e5,
    "attention_bias": False,
    "vision_config": None,
}
_MISTRAL3: Final[Defaults] = {
    **RMS,
    "vocab_size": 131072,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 34,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 262144,
    "rms_norm_eps": 1e-5,
    "sliding_window": None,
    "rope_theta": 1e6,
    "rope_parameters": {
        "rope_type": "yarn",
        "factor": 16.0,
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "mscale": 1.0,
        "mscale_all_dim": 1.0,
        "original_max_position_embeddings": 16384,
        "llama_4_scaling_beta": 0.1,
    },
    "vision_config": None,
}

VISION_DEFAULTS: Final[Mapping[str, Defaults]] = {
    "Qwen2VLForConditionalGeneration": _QWEN2VL,
    "Qwen2_5_VLForConditionalGeneration": _QWEN2VL,
    "Qwen3VLForConditionalGeneration": _QWEN3VL,
    "Qwen3VLMoeForConditionalGeneration": {
        **_QWEN3VL,
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "head_dim": None,
        "tie_word_embeddings": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": None,
        "moe_intermediate_size": 1408,
        "num_experts_per_tok": 4,
        "num_experts": 60,
    },
    "Ministral3ForCausalLM": _MISTRAL3,
    "Mistral3ForConditionalGeneration": {
        **_MISTRAL3,
        "vocab_size": 32000,
        "num_hidden_layers": 32,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-6,
        "head_dim": None,
        "sliding_window": 4096,
        "rope_theta": 1e4,
        "rope_parameters": None,
    },
}
"""Keys that a class reads, with their defaults, by the name of the class."""
