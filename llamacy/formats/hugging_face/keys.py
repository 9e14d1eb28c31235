"""The keys of config.json: each is read, harmless, or refused by its name.

A key that is none of the three, and one that another class of models reads, is passed
over as in transformers, and named in one warning in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from llamacy.formats.hugging_face import bailing_hybrid, kimi_delta
from llamacy.formats.hugging_face.classes import DEFAULTS
from llamacy.formats.hugging_face.usual_keys import with_usual_keys
from llamacy.formats.json_text import JsonObject

HARMLESS: Final = frozenset(
    # what the file is, and what wrote it
    "architectures model_type transformers_version _name_or_path name_or_path auto_map "
    "auto_class tokenizer_class processor_class task_specific_params prefix "
    "finetuning_task problem_type id2label label2id num_labels _num_labels "
    "transformers.js_config transformers_js_config unsloth_version unsloth_fixed "
    "_commit_hash is_llama_config base_model_name_or_path "
    # the weights say their types themselves
    "torch_dtype dtype use_bfloat16 "
    # how another program runs it
    "use_cache return_dict return_dict_in_generate use_return_dict torchscript "
    "output_attentions output_hidden_states output_scores _attn_implementation "
    "_attn_implementation_autoset attn_implementation _flash_attn_2_enabled "
    "use_flash_attn flash_attn cache_implementation chunk_size_feed_forward "
    "pretraining_tp tf_legacy_loss is_decoder gradient_checkpointing "
    "_experts_implementation _use_flash_attention_2 deterministic_flash_attn "
    "reference_compile repad_logits_with_grad use_reentrant fused_bias_fc "
    "fused_dropout_add_ln dense_seq_output use_xentropy moe_impl "
    # what sentence-transformers' files say, and the adapters that are left out
    "emb_pooler truncate_dim matryoshka_dimensions task_instructions "
    "load_trained_adapters lora_rank lora_alpha lora_dropout_p "
    # training
    "initializer_range attention_dropout hidden_dropout hidden_dropout_prob embd_pdrop "
    "embd_dropout resid_pdrop attn_pdrop attention_probs_dropout_prob "
    "residual_dropout embedding_dropout classifier_dropout summary_type dropout "
    "qa_dropout seq_classif_dropout "
    "initializer_cutoff_factor mlp_dropout decoder_bias sparse_prediction "
    "sparse_pred_ignore_index lora_main_params_trainable "
    "summary_use_proj summary_activation summary_proj_to_labels "
    "summary_first_dropout reorder_and_upcast_attn embedding_initializer_range "
    "output_router_logits router_aux_loss_coef router_jitter_noise "
    # the vocabulary's, read with it
    "bos_token_id eos_token_id pad_token_id unk_token_id sep_token_id mask_token_id "
    "cls_token_id eod_token_id decoder_start_token_id boi_token_id eoi_token_id "
    "image_token_id video_token_id vision_start_token_id vision_end_token_id "
    "vision_token_id "
    # drafting
    "num_mtp_layers mtp_layer_types mtp_mlp_layer_types mtp_num_hidden_layers "
    "mtp_use_dedicated_embeddings "
    # how to generate: generation_config.json is the place for it
    "max_length min_length max_new_tokens do_sample temperature top_k top_p typical_p "
    "num_beams num_beam_groups num_return_sequences early_stopping length_penalty "
    "diversity_penalty repetition_penalty no_repeat_ngram_size bad_words_ids "
    "encoder_no_repeat_ngram_size exponential_decay_length_penalty "
    "remove_invalid_values forced_bos_token_id forced_eos_token_id suppress_tokens "
    "begin_suppress_tokens cross_attention_hidden_size "
    # copies of what other keys say
    "initial_context_length experts_per_token hidden_act hidden_activation "
    "_sliding_window_pattern num_local_experts num_experts rotary_dim "
    "max_window_layers qk_head_dim attn_output_gate mamba_ssm_dtype".split()
)
"""Keys that change nothing about what a model computes."""

REFUSED: Final = (
    "quantization",
    "compression_config",
    "add_cross_attention",
    "is_encoder_decoder",
    "tie_encoder_decoder",
    "pruned_heads",
    "use_mrope",
    "rope_interleaved",
    "use_bidirectional_attention",
    "sparse_attention",
    "lm_head_bias",
    "num_nextn_predict_layers",
)
"""Keys that must not be there, unless false, 0 or empty: they change the model."""

CAUSAL: Final = "is_causal"
"""A key of all classes: false makes a model an encoder."""

_ALIASES: Final = {
    "num_local_experts": "num_experts",
    "num_experts": "num_local_experts",
}
_NAMES_OF: Final[Mapping[str, Mapping[str, str]]] = {
    "KimiLinearForCausalLM": kimi_delta.NAMES_OF_KEYS,
    "BailingHybridForCausalLM": bailing_hybrid.NAMES_OF_KEYS,
}
"""Two names of each of some keys, of which files of a class may have either."""

_OBJECTS: Final = ("rope_scaling", "quantization_config")
_BASES: Final = ("rope_theta", "rope_local_base_freq")
_ROPE_KEYS: Final = frozenset(
    "rope_type type rope_theta factor partial_rotary_factor finetuned truncate "
    "original_max_position_embeddings attention_factor beta_fast beta_slow mscale "
    "mscale_all_dim short_factor long_factor low_freq_factor high_freq_factor "
    "full_attention sliding_attention".split()
)
_SECTIONS: Final = ("mrope_section", "mrope_interleaved")
_ROPE_KEYS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "Qwen2VLForConditionalGeneration": _SECTIONS,
    "Qwen2_5_VLForConditionalGeneration": _SECTIONS,
    "Qwen3VLForConditionalGeneration": _SECTIONS,
    "Qwen3VLMoeForConditionalGeneration": _SECTIONS,
    "Qwen3_5ForCausalLM": _SECTIONS,
    "Qwen3_5ForConditionalGeneration": _SECTIONS,
    "Qwen3_5MoeForCausalLM": _SECTIONS,
    "Qwen3_5MoeForConditionalGeneration": _SECTIONS,
    # Ministral's `max_position_embeddings` is a copy
    "Ministral3ForCausalLM": ("llama_4_scaling_beta", "max_position_embeddings"),
    "Mistral4ForCausalLM": ("llama_4_scaling_beta", "max_position_embeddings"),
    "HunYuanDenseV1ForCausalLM": ("alpha",),
    "PhimoeForCausalLM": ("short_mscale", "long_mscale"),
}
"""More keys about rotations that single classes read."""

_logger = logging.getLogger("llamacy")


def own_keys(config: JsonObject, name: str) -> JsonObject:
    """Return the keys that a class reads, with its defaults for those that are missing.

    A key that is null stays null, except where the class has a truth value, an object
    or a base of rotations.

    Parameters
    ----------
    config : JsonObject
        The file's object.
    name : str
        The class, one of `DEFAULTS`.

    Raises
    ------
    UnsupportedError
        A key that changes the model in a way that llamacy does not know.
    """
    defaults = DEFAULTS[name]
    values = dict(config.values)
    # transformers takes an empty or false one for null
    values |= {key: None for key in _OBJECTS if not values.get(key)}
    for theirs, ours in _ALIASES.items():
        if ours in defaults and theirs in values:
            values.setdefault(ours, values.pop(theirs))
    for names in _NAMES_OF.get(name, {}).items():
        for one, other in (names, names[::-1]):
            if one in values:
                values.setdefault(other, values[one])
    for key in REFUSED:
        if values.get(key) and key not in defaults:
            config.refuse(key, "none", values[key])
    own = dict(defaults)
    for key, value in values.items():
        if key in defaults and (value is not None or not _is_kept(key, defaults[key])):
            own[key] = value
    if values.get(CAUSAL) is False:
        own[CAUSAL] = False
    passed = _passed_over(values, defaults)
    for key in ("rope_scaling", "rope_parameters"):
        passed += _strange_rope_keys(key, values.get(key), name)
    if passed:
        _logger.warning(
            "%s: %s passed over: keys that %s does not read",
            config.path,
            ", ".join(passed),
            name,
        )
    return JsonObject(config.path, with_usual_keys(own, name))


def _is_kept(key: str, default: object) -> bool:
    """Whether null leaves a default as it is."""
    return isinstance(default, bool | dict) or key in _BASES


def _passed_over(values: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Name the keys that would change something if they were read."""
    silent = HARMLESS.union(known, (CAUSAL,))
    return [key[:64] for key, value in values.items() if value and key not in silent]


def _strange_rope_keys(key: str, value: object, name: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    known = _ROPE_KEYS.union(_ROPE_KEYS_OF.get(name, ()))
    return [f"{key}.{each[:64]}" for each in value if each not in known]
