"""Names of options in other libraries, and what to write instead.

Knows the names of llama-cpp-python and llama.cpp, transformers, sentence-transformers,
vLLM, Ollama and OpenAI. Read only where a call was given an option that it does not
have.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator

SYNONYMS = {
    # llamacy.load
    "source": "model_path model path filename model_name pretrained_model_name_or_path",
    "n_ctx": "num_ctx max_model_len context_length context_size ctx_size max_seq_len",
    "n_threads": "threads num_thread num_threads n_threads_batch thread_count",
    "n_batch": "n_ubatch num_batch batch_size max_num_batched_tokens",
    "kv_type": "type_k type_v cache_type_k cache_type_v kv_cache_dtype cache_type",
    "quantize": "quantization load_in_4bit load_in_8bit dtype torch_dtype",
    "prompt_cache": "cache cache_size enable_prefix_caching",
    "max_active": "max_num_seqs n_parallel n_seq_max num_parallel parallel",
    "max_waiting": "max_queue queue_size",
    "draft": "draft_model speculative_model model_draft assistant_model "
    "speculative_config",
    "lora": "lora_path lora_paths lora_request adapter adapters",
    # models and sessions
    "prompt": "prompts inputs input input_ids text_inputs prompt_token_ids",
    "messages": "message conversation history prompt prompts input inputs",
    "params": "sampling_params generation_config",
    "n": "num_return_sequences num_samples n_samples",
    "cancel": "cancel_token cancel_event stop_event stopping_criteria",
    "progress": "use_tqdm progress_callback progress_bar on_progress show_progress "
    "show_progress_bar",
    "chat_format": "chat_template template chat_handler",
    "template_arguments": "chat_template_kwargs template_kwargs",
    "reasoning_effort": "thinking_effort effort",
    "overflow": "truncate truncation truncate_prompt_tokens context_shift",
    "tools": "functions",
    "tool_choice": "function_call",
    "strict_tools": "strict",
    "labels": "choices classes candidate_labels options",
    "pooling": "pooling_type pooling_mode output_value",
    "dimensions": "truncate_dim dim output_dimension",
    "normalize": "normalize_embeddings embd_normalize",
    "truncate": "truncation truncate_prompt_tokens",
    "documents": "passages texts sentences corpus",
    "top_n": "top_k k limit",
    "activation": "activation_fn activation_fct apply_softmax raw_scores",
    "instruction": "instruct task",
    "add_bos": "add_special_tokens",
    "parse_special": "special",
    # SamplingParams
    "max_tokens": "n_predict num_predict max_new_tokens max_completion_tokens "
    "max_output_tokens max_length max_gen_len",
    "temperature": "temp",
    "top_k": "topk k",
    "top_p": "topp p",
    "typical_p": "typical typ_p",
    "top_n_sigma": "n_sigma",
    "xtc_probability": "xtc_p",
    "xtc_threshold": "xtc_t",
    "repeat_penalty": "repetition_penalty rep_pen penalty_repeat",
    "frequency_penalty": "penalty_freq",
    "presence_penalty": "penalty_present",
    "penalty_last_n": "repeat_last_n last_n_tokens_size",
    "mirostat": "mirostat_mode",
    "mirostat_tau": "mirostat_ent",
    "mirostat_eta": "mirostat_lr",
    "logits_processors": "logits_processor",
    "seed": "random_seed rng_seed random_state",
    "stop": "stop_sequences stop_sequence stop_strings stop_words stops antiprompt",
    "include_stop": "include_stop_str_in_output",
    "logprobs": "top_logprobs n_probs output_scores",
    "json_schema": "guided_json schema format output_schema output_type",
    "regex": "guided_regex pattern structured_outputs_regex",
    "choices": "guided_choice",
    "grammar": "guided_grammar gbnf",
}
"""The names that other libraries have for an option, by its name here."""

ADVICE = {
    "use model.stream or model.stream_chat": "stream streamer iter streaming",
    "use dry_multiplier": "no_repeat_ngram_size",
    "use min_p, which has the same purpose": "tfs_z tfs tail_free",
    "use logit_bias: -inf bans a token": "bad_words_ids bad_words suppress_tokens "
    "allowed_token_ids penalize_nl sequence_bias",
    "use logit_bias, with -inf for each of model.tokenizer.eog_ids": "ignore_eos "
    "min_tokens min_length min_new_tokens",
    "use lora=[(path, scale)]": "lora_scale lora_base lora_scaled",
    "use overflow of model.chat": "n_keep num_keep keep",
    'use template_arguments={"enable_thinking": ...}': "think thinking enable_thinking "
    "reasoning",
    "use n of model.generate, with logprobs=0, and take the likeliest": "best_of",
    'give it as a message: {"role": "system", "content": ...}': "system system_prompt",
    "put the prompt before the text; prompt_logprobs has its likelihoods": "echo "
    "return_full_text",
    "write it into the name: user/repo@revision:Q4_K_M": "revision filename file "
    "repo_id variant",
    "set HF_TOKEN in the environment": "token hf_token use_auth_token auth_token",
    "set HF_HOME in the environment": "cache_dir local_dir download_dir",
    "set HF_HUB_OFFLINE=1 in the environment": "local_files_only offline",
    "use model.tokenizer.decode(ids, skip_special=False)": "skip_special_tokens "
    "spaces_between_special_tokens clean_up_tokenization_spaces",
    "use logprobs, model.score or model.logits": "logits_all output_logits",
    "leave it out: there is no GPU": "n_gpu_layers num_gpu gpu_layers ngl main_gpu "
    "tensor_split split_mode device device_map gpu_memory_utilization "
    "tensor_parallel_size offload_kqv low_vram use_cuda",
    "leave it out: weights are packed into memory of their own": "use_mmap use_mlock "
    "mmap mlock no_mmap numa",
    "leave it out: the model's file says it": "rope_freq_base rope_freq_scale "
    "rope_scaling rope_scaling_type yarn_ext_factor yarn_attn_factor n_gqa tokenizer",
    "leave it out: temperature=0 is greedy, any other temperature samples": "do_sample",
    "leave it out: the model's own tokens end a text, and stop ends it at strings": (
        "eos_token_id stop_token_ids"
    ),
    'leave it out: nothing is printed; logging.getLogger("llamacy") tells more': (
        "verbose silent log_level disable_log_stats"
    ),
    "leave it out: nothing of a model is executed": "trust_remote_code",
    "leave it out: chat ends the prompt where the answer begins": (
        "add_generation_prompt continue_final_message"
    ),
    "leave it out: a model stays loaded until it is closed": "keep_alive",
    "leave it out: there is nothing to set": "flash_attn use_cache attention_mask "
    "pad_token_id bos_token_id return_tensors padding return_dict "
    "return_dict_in_generate attn_implementation low_cpu_mem_usage user store "
    "service_tier raw use_fast mul_mat_q",
    'use response_format={"type": "json_object"}, or json_schema': "json_mode",
    "use json_schema, regex, choices or grammar": "guided_decoding structured_outputs",
    "leave it out: JSON has spaces as json.dumps writes them": "whitespace_pattern "
    "guided_whitespace_pattern",
    'use tool_choice: a tool\'s name allows one call, "required" several': (
        "parallel_tool_calls"
    ),
    "leave it out: drafts have as many tokens as pay, and drafting=False turns them "
    "off": "num_speculative_tokens prompt_lookup_num_tokens num_pred_tokens",
    "not there yet: a text goes on after its prompt only": "suffix",
    "leave it out: any model embeds texts, by model.embed": "embedding embeddings",
    "leave it out: embeddings are an array of NumPy": "convert_to_tensor "
    "convert_to_numpy",
    "not there yet: models read text alone": "images image videos audio mmproj "
    "clip_model_path",
    "not there yet: texts are drawn, and n of model.generate draws several": (
        "num_beams beam_width use_beam_search num_beam_groups length_penalty "
        "early_stopping"
    ),
}
"""Advice where no option is like the other library's, and its names there."""

HOMES = {
    "llamacy.load": "n_ctx n_threads n_batch kv_type quantize prompt_cache max_active "
    "max_waiting lora drafting draft",
    "model.chat": "messages chat_format overflow tools template_arguments "
    "reasoning_effort merge_system tool_choice strict_tools",
    "model.generate": "prompt n",
    "model.generate or model.chat": "params max_tokens temperature dynatemp_range "
    "dynatemp_exponent top_k top_p min_p typical_p top_n_sigma xtc_probability "
    "xtc_threshold repeat_penalty frequency_penalty presence_penalty penalty_last_n "
    "dry_multiplier dry_base dry_allowed_length dry_penalty_last_n "
    "dry_sequence_breakers mirostat mirostat_tau mirostat_eta logit_bias "
    "logits_processors seed stop include_stop logprobs prompt_logprobs json_schema "
    "response_format regex choices grammar json_schema_lenient drafting",
    "model.choose": "labels",
    "model.embed": "pooling dimensions normalize prompt_name",
    "model.rerank": "documents top_n activation instruction",
    "model.tokenize": "add_bos parse_special",
}
"""The options of calls that are easily taken for one another."""

_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")  # of camelCase


def hint(name: str, options: Collection[str]) -> str:
    """Say what to write instead of an option that a call does not have.

    Parameters
    ----------
    name : str
        The option that was given.
    options : collection of str
        The options that the call has.

    Examples
    --------
    >>> hint("temp", ["temperature", "top_p"])
    'did you mean temperature?'
    >>> hint("n_gpu_layers", ["n_ctx"])
    'leave it out: there is no GPU'
    >>> hint("n_ctx", ["temperature"])
    'give n_ctx to llamacy.load'
    >>> hint("colour", ["n_ctx", "lora"])
    'wanted one of n_ctx, lora'
    """
    plain = _CAPITAL.sub("_", name).replace("-", "_").lower()
    meant = [plain, *_keys(SYNONYMS, plain)]
    for option in meant:
        if option in options:
            return f"did you mean {option}?"
    for advice in _keys(ADVICE, plain):
        return advice
    for option in meant:
        for home in _keys(HOMES, option):
            return f"give {option} to {home}"
    if near := difflib.get_close_matches(plain, options, n=1, cutoff=0.75):
        return f"did you mean {near[0]}?"
    if not options:
        return "the call takes none"
    return f"wanted one of {', '.join(options)}"


def _keys(table: dict[str, str], name: str) -> Iterator[str]:
    """Yield the keys of `table` whose names include `name`."""
    return (key for key, names in table.items() if name in names.split())
