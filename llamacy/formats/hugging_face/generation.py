"""generation_config.json: how a folder's authors want texts to be chosen and to end.

Its sampling options become GGUF's keys `general.sampling.*`, as in llama.cpp's
converter, and its end tokens those of the vocabulary.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Final

from llamacy.formats.json_text import JsonObject, read_json
from llamacy.formats.metadata import Metadata

FILE: Final = "generation_config.json"
_CONFIG: Final = "config.json"

HARMLESS: Final = frozenset(
    # what wrote it
    "_from_model_config transformers_version _name_or_path "
    # tokens of the vocabulary's files
    "bos_token_id pad_token_id decoder_start_token_id "
    # how long a text may be is for the caller to say
    "max_length max_new_tokens min_length min_new_tokens max_time "
    # how another program runs the model and reports it
    "use_cache cache_implementation cache_config return_legacy_cache trust_remote_code "
    "output_attentions output_hidden_states output_scores output_logits "
    "return_dict_in_generate num_return_sequences prefill_chunk_size compile_config "
    "disable_compile num_assistant_tokens num_assistant_tokens_schedule "
    "assistant_confidence_threshold assistant_lookbehind target_lookbehind "
    "prompt_lookup_num_tokens max_matching_ngram_size is_assistant low_memory "
    # llama.cpp's names, which have their own keys
    "chat_format".split()
)
"""Keys that do not change which text is generated, but for its length."""

_NEUTRAL: Final = {
    "num_beams": 1,
    "num_beam_groups": 1,
    "length_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "guidance_scale": 1.0,
}
_REALS: Final = {
    "temperature": "temp",
    "top_p": "top_p",
    "min_p": "min_p",
    "typical_p": "typical_p",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "repetition_penalty": "penalty_repeat",
    "penalty_repeat": "penalty_repeat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}
_INTEGERS: Final = {
    "top_k": "top_k",
    "penalty_last_n": "penalty_last_n",
    "mirostat": "mirostat",
}
_SUPPRESSED: Final = {
    "suppress_tokens": "tokenizer.ggml.suppress_tokens",
    "begin_suppress_tokens": "tokenizer.llamacy.begin_suppress_tokens",
}
_OTHERS: Final = ("do_sample", "eos_token_id", *_SUPPRESSED)
USED: Final = frozenset((*_REALS, *_INTEGERS, *_OTHERS))
"""Keys that are read."""

_PREFIX: Final = "general.sampling."
_EOS: Final = "tokenizer.ggml.eos_token_id"
_END_KEYS: Final = (
    _EOS,
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
)
_MORE_ENDS: Final = "tokenizer.llamacy.end_ids"

_logger = logging.getLogger("llamacy")


def add_generation(folder: Path, metadata: Metadata) -> None:
    """Add what generation_config.json says, if there is one.

    Where it is silent about end tokens, config.json is asked, as in transformers.

    Raises
    ------
    ModelFileError
        It cannot be read.
    FormatError
        It is broken, or has a value of another type than its key's.
    """
    config = None
    if os.path.exists(folder / FILE):
        config = read_json(folder / FILE)
        _add_sampling(config, metadata)
        _add_suppressed(config, metadata)
        _name_passed_over(config)
    if config is not None and config.get("eos_token_id") is not None:
        _add_ends(config, metadata)
    elif os.path.exists(folder / _CONFIG):
        whole = read_json(folder / _CONFIG)
        _add_ends(whole, metadata)
        text = whole.child("text_config") if "eos_token_id" not in whole else None
        if text is not None:
            _add_ends(text, metadata)


def _name_passed_over(config: JsonObject) -> None:
    passed = [
        key[:64]
        for key, value in config.values.items()
        if value and key not in USED | HARMLESS and _NEUTRAL.get(key) != value
    ]
    if passed:
        _logger.warning(
            "%s: %s passed over: llamacy does not have these options",
            config.path,
            ", ".join(passed),
        )


def _add_sampling(config: JsonObject, metadata: Metadata) -> None:
    for theirs, ours in _REALS.items():
        if theirs in config:
            metadata.real(_PREFIX + ours, config.real(theirs, 0.0, 1e9))
    for theirs, ours in _INTEGERS.items():
        if theirs in config:
            metadata.signed(_PREFIX + ours, config.integer(theirs, -1, 2**31 - 1))
    if "repetition_penalty" in config and "penalty_last_n" not in config:
        metadata.signed(f"{_PREFIX}penalty_last_n", -1)  # all tokens of the text
    if not config.flag("do_sample", True):
        metadata.real(f"{_PREFIX}temp", 0.0)


def _add_suppressed(config: JsonObject, metadata: Metadata) -> None:
    for theirs, ours in _SUPPRESSED.items():
        if ids := _ids(config, theirs, metadata):
            metadata.integers(ours, ids)


def _add_ends(config: JsonObject, metadata: Metadata) -> None:
    """Add end tokens beside the vocabulary's own; GGUF has keys for three."""
    ids = _ids(config, "eos_token_id", metadata)
    known = [metadata.values[key] for key in _END_KEYS if key in metadata.values]
    more = [i for i in ids if i not in known]
    free = [key for key in _END_KEYS if key not in metadata.values]
    for key, i in zip(free, more, strict=False):
        metadata.integer(key, i)
    if len(more) > len(free):
        metadata.integers(_MORE_ENDS, more[len(free) :])


def _ids(config: JsonObject, key: str, metadata: Metadata) -> list[int]:
    """Return the tokens that a key names, of those that the vocabulary has."""
    found: Any = config.get(key)
    ids = found if isinstance(found, list) else [found] if found is not None else []
    if not all(type(each) is int for each in ids):
        config.fail(key, "a token's id, or an array of them", found)
    n_vocab = len(metadata.values.get("tokenizer.ggml.tokens", ()))
    return [i for i in dict.fromkeys(ids) if 0 <= i < n_vocab]
