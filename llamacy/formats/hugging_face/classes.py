"""Classes of models in transformers: the keys of config.json that each reads.

transformers gives a key that config.json lacks the default of the class, and passes
over keys that are another class's: a `sliding_window` in a LLaMA changes nothing.
Defaults are those of transformers 5; a test holds the table against them. None stands
for a value that is computed from others, such as `head_dim`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llamacy.formats.hugging_face import gemma4
from llamacy.formats.hugging_face.common_keys import ALL, LLAMA, Defaults
from llamacy.formats.hugging_face.other_classes import OTHER_DEFAULTS
from llamacy.formats.hugging_face.recent_classes import (
    RECENT_DEFAULTS,
    RECENT_MODEL_TYPES,
)
from llamacy.formats.hugging_face.router_classes import ROUTER_DEFAULTS

_MISTRAL: Final[Defaults] = {
    **ALL,
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "sliding_window": 4096,
}
# transformers takes a Mistral whose file has layer_types for a Ministral.
_MINISTRAL: Final[Defaults] = {**_MISTRAL, "layer_types": None}
_QWEN: Final[Defaults] = {
    **ALL,
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 32768,
    "use_sliding_window": False,
    "sliding_window": 4096,
}
_QWEN2: Final[Defaults] = {**_QWEN, "max_window_layers": 28, "layer_types": None}
_GEMMA2: Final[Defaults] = {
    **ALL,
    "hidden_act": None,
    "vocab_size": 256000,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "layer_types": None,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
    "use_bidirectional_attention": None,
}
_OLMO2: Final[Defaults] = {
    **ALL,
    "vocab_size": 50304,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-5,
    "attention_bias": False,
}
_QWEN_EXPERTS: Final[Defaults] = {
    "decoder_sparse_step": 1,
    "mlp_only_layers": None,
    "norm_topk_prob": False,
}

DEFAULTS: Final[Mapping[str, Defaults]] = {
    "LlamaForCausalLM": LLAMA,
    "MistralForCausalLM": _MINISTRAL,
    "MinistralForCausalLM": _MINISTRAL,
    "Qwen2ForCausalLM": _QWEN2,
    "Qwen3ForCausalLM": {**_QWEN2, "head_dim": 128, "attention_bias": False},
    "Gemma2ForCausalLM": _GEMMA2,
    "Gemma3ForCausalLM": {
        **_GEMMA2,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "sliding_window_pattern": 6,
        "use_bidirectional_attention": False,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
    },
    "Phi3ForCausalLM": {
        **ALL,
        "vocab_size": 32064,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
    },
    "SmolLM3ForCausalLM": {
        **LLAMA,
        "vocab_size": 128256,
        "hidden_size": 2048,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "max_position_embeddings": 32768,
        "rope_theta": 2e6,
        "tie_word_embeddings": True,
        "use_sliding_window": False,
        "sliding_window": None,
        "layer_types": None,
        "no_rope_layers": None,
        "no_rope_layer_interval": 4,
    },
    "GraniteForCausalLM": {
        **LLAMA,
        "embedding_multiplier": 1.0,
        "logits_scaling": 1.0,
        "residual_multiplier": 1.0,
        "attention_multiplier": 1.0,
    },
    "Olmo2ForCausalLM": _OLMO2,
    "Olmo3ForCausalLM": {
        **_OLMO2,
        "sliding_window": 4096,
        "layer_types": None,
        "rope_theta": 5e5,
        "rope_local_base_freq": 5e5,
    },
    "MixtralForCausalLM": {
        **_MISTRAL,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "rope_theta": 1e6,
        "num_experts_per_tok": 2,
        "num_local_experts": 8,
    },
    "Qwen2MoeForCausalLM": {
        **_QWEN2,
        **_QWEN_EXPERTS,
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "moe_intermediate_size": 1408,
        "shared_expert_intermediate_size": 5632,
        "num_experts_per_tok": 4,
        "num_experts": 60,
        "qkv_bias": True,
    },
    "Qwen3MoeForCausalLM": {
        **_QWEN,
        **_QWEN_EXPERTS,
        "hidden_size": 2048,
        "intermediate_size": 6144,
        "num_hidden_layers": 24,
        "num_key_value_heads": 4,
        "moe_intermediate_size": 768,
        "num_experts_per_tok": 8,
        "num_experts": 128,
        "attention_bias": False,
    },
    "GptOssForCausalLM": {
        **ALL,
        "vocab_size": 201088,
        "hidden_size": 2880,
        "intermediate_size": 2880,
        "num_hidden_layers": 36,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "attention_bias": True,
        "sliding_window": 128,
        "layer_types": None,
        "rope_theta": 150000.0,
        "rope_parameters": {
            "rope_type": "yarn",
            "factor": 32.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "truncate": False,
            "original_max_position_embeddings": 4096,
        },
        "num_experts_per_tok": 4,
        "num_local_experts": 128,
        "swiglu_alpha": 1.702,
        "swiglu_limit": 7.0,
    },
    **OTHER_DEFAULTS,
    **ROUTER_DEFAULTS,
    **gemma4.DEFAULTS,
    **RECENT_DEFAULTS,
}
"""Keys that a class reads, with their defaults, by the name of the class."""

MODEL_TYPES: Final[Mapping[str, str]] = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "ministral": "MinistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3_text": "Gemma3ForCausalLM",
    "gemma4": "Gemma4ForConditionalGeneration",
    "gemma4_text": "Gemma4ForCausalLM",
    "gemma4_unified": "Gemma4UnifiedForConditionalGeneration",
    "gemma4_unified_text": "Gemma4UnifiedForCausalLM",
    "phi3": "Phi3ForCausalLM",
    "smollm3": "SmolLM3ForCausalLM",
    "granite": "GraniteForCausalLM",
    "olmo2": "Olmo2ForCausalLM",
    "olmo3": "Olmo3ForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen2_moe": "Qwen2MoeForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "starcoder2": "Starcoder2ForCausalLM",
    "phi": "PhiForCausalLM",
    "gemma": "GemmaForCausalLM",
    "cohere": "CohereForCausalLM",
    "cohere2": "Cohere2ForCausalLM",
    "stablelm": "StableLmForCausalLM",
    "falcon": "FalconForCausalLM",
    "gpt_neox": "GPTNeoXForCausalLM",
    "arcee": "ArceeForCausalLM",
    "apertus": "ApertusForCausalLM",
    "glm4_moe": "Glm4MoeForCausalLM",
    "dots1": "Dots1ForCausalLM",
    "ernie4_5_moe": "Ernie4_5_MoeForCausalLM",
    "hunyuan_v1_moe": "HunYuanMoEV1ForCausalLM",
    "cohere2_moe": "Cohere2MoeForCausalLM",
    **RECENT_MODEL_TYPES,
}
"""Classes by `model_type`, for files whose `architectures` name none."""
