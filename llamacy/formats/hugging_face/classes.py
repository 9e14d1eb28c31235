"""Classes of models in transformers: the keys of config.json that each reads.

transformers gives a key that config.json lacks the default of the class, and passes
over keys that are another class's: a `sliding_window` in a LLaMA changes nothing.
Defaults are those of transformers 5; a test holds the table against them. None stands
for a value that is computed from others, such as `head_dim`. Defaults of classes that
transformers does not have are from the code beside their weights. The rows are divided
as those of `families`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from llamacy.formats.hugging_face import (
    bailing_hybrid,
    bidirectional,
    delta_rule,
    encoders,
    gemma4,
    jina_bert,
    kimi_delta,
    lfm2,
    mamba,
    modern_bert,
    nomic_bert,
)
from llamacy.formats.hugging_face.common_keys import Defaults
from llamacy.formats.hugging_face.dense_classes import DENSE_DEFAULTS
from llamacy.formats.hugging_face.latent_classes import LATENT_DEFAULTS
from llamacy.formats.hugging_face.layer_norm_classes import LAYER_NORM_DEFAULTS
from llamacy.formats.hugging_face.mamba2_classes import MAMBA2_DEFAULTS
from llamacy.formats.hugging_face.mixture_classes import MIXTURE_DEFAULTS
from llamacy.formats.hugging_face.vision_classes import VISION_DEFAULTS

DEFAULTS: Final[Mapping[str, Defaults]] = {
    **DENSE_DEFAULTS,
    **LAYER_NORM_DEFAULTS,
    **MIXTURE_DEFAULTS,
    **VISION_DEFAULTS,
    **gemma4.DEFAULTS,
    **mamba.DEFAULTS,
    **MAMBA2_DEFAULTS,
    **LATENT_DEFAULTS,
    **lfm2.DEFAULTS,
    **delta_rule.DEFAULTS,
    **kimi_delta.DEFAULTS,
    **bailing_hybrid.DEFAULTS,
    **encoders.DEFAULTS,
    **bidirectional.DEFAULTS,
    **modern_bert.DEFAULTS,
    **nomic_bert.DEFAULTS,
    **jina_bert.DEFAULTS,
}
"""Keys that a class reads, with their defaults, by the name of the class."""

CLASSIFIERS: Final[Mapping[str, str]] = {
    **encoders.CLASSIFIERS,
    **modern_bert.CLASSIFIERS,
    **nomic_bert.CLASSIFIERS,
    **jina_bert.CLASSIFIERS,
    **bidirectional.CLASSIFIERS,
}
"""Classes that score texts, and the class of the encoder within."""

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
    "granitemoehybrid": "GraniteMoeHybridForCausalLM",
    "falcon_h1": "FalconH1ForCausalLM",
    "nemotron_h": "NemotronHForCausalLM",
    "jamba": "JambaForCausalLM",
    "mamba": "MambaForCausalLM",
    "falcon_mamba": "FalconMambaForCausalLM",
    "mamba2": "Mamba2ForCausalLM",
    "lfm2": "Lfm2ForCausalLM",
    "lfm2_moe": "Lfm2MoeForCausalLM",
    "lfm3": "Lfm3ForCausalLM",
    "qwen3_5": "Qwen3_5ForConditionalGeneration",
    "qwen3_5_text": "Qwen3_5ForCausalLM",
    "qwen3_5_moe": "Qwen3_5MoeForConditionalGeneration",
    "qwen3_5_moe_text": "Qwen3_5MoeForCausalLM",
    "qwen3_next": "Qwen3NextForCausalLM",
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
    "deepseek_v2": "DeepseekV2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "glm4_moe_lite": "Glm4MoeLiteForCausalLM",
    "kimi_linear": "KimiLinearForCausalLM",
    "bailing_hybrid": "BailingHybridForCausalLM",
    "youtu": "YoutuForCausalLM",
    "mistral4": "Mistral4ForCausalLM",
    "ernie4_5_moe": "Ernie4_5_MoeForCausalLM",
    "hunyuan_v1_moe": "HunYuanMoEV1ForCausalLM",
    "cohere2_moe": "Cohere2MoeForCausalLM",
    "qwen2_vl": "Qwen2VLForConditionalGeneration",
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
    "qwen3_vl_moe": "Qwen3VLMoeForConditionalGeneration",
    "ministral3": "Ministral3ForCausalLM",
    "mistral3": "Mistral3ForConditionalGeneration",
    "exaone4": "Exaone4ForCausalLM",
    "olmoe": "OlmoeForCausalLM",
    "glm4": "Glm4ForCausalLM",
    "seed_oss": "SeedOssForCausalLM",
    "ernie4_5": "Ernie4_5ForCausalLM",
    "hunyuan_v1_dense": "HunYuanDenseV1ForCausalLM",
    "minicpm": "MiniCPMForCausalLM",
    "internlm2": "InternLM2ForCausalLM",
    "mellum": "MellumForCausalLM",
    "granitemoe": "GraniteMoeForCausalLM",
    "granitemoeshared": "GraniteMoeSharedForCausalLM",
    "laguna": "LagunaForCausalLM",
    "phimoe": "PhimoeForCausalLM",
    "granite_swa": "GraniteSWAForCausalLM",
    "granitemoe_swa": "GraniteMoeSWAForCausalLM",
    **encoders.MODEL_TYPES,
    **bidirectional.MODEL_TYPES,
    **modern_bert.MODEL_TYPES,
    **nomic_bert.MODEL_TYPES,
    **jina_bert.MODEL_TYPES,
}
"""Classes by `model_type`, for files whose `architectures` name none."""

SAME_CLASSES: Final[Mapping[str, str]] = {
    "BailingMoeV3ForCausalLM": "BailingHybridForCausalLM",
    "PhiMoEForCausalLM": "PhimoeForCausalLM",
    **encoders.SAME_CLASSES,
    **bidirectional.SAME_CLASSES,
    **modern_bert.SAME_CLASSES,
    **nomic_bert.SAME_CLASSES,
    **jina_bert.SAME_CLASSES,
}
"""Classes of transformers, by names that files have for them."""
