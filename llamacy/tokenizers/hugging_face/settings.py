"""The keys of tokenizer_config.json: those used, those known, and those refused.

The file holds the arguments of a class of the transformers library, so that every
class, and every model's author, adds some. Keys that are not in the lists below are
named in a warning.
"""

from __future__ import annotations

import json
import logging
from typing import Final

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.attributes import PIPELINE_KEY

USED: Final = frozenset(
    "bos_token eos_token unk_token pad_token add_bos_token add_eos_token "
    "added_tokens_decoder chat_template add_prefix_space".split()
)

HARMLESS: Final = {
    "the program that wrote the file, and its classes": (
        "auto_map backend is_local local_files_only name_or_path processor_class "
        "slow_tokenizer_class tokenizer_class tokenizer_file tokenizer_type "
        "transformers_version vocab_file merges_file from_slow init_inputs "
        "trust_remote_code _commit_hash fix_mistral_regex"
    ),
    "batches: how texts are cut and padded to the same length": (
        "max_length max_len model_max_length pad_to_multiple_of pad_token_type_id "
        "padding padding_side stride truncation truncation_side truncation_strategy "
        "pad_side return_token_type_ids model_input_names max_seq_length"
    ),
    "named special tokens, which are added tokens and are read as these": (
        "additional_special_tokens cls_token extra_special_tokens mask_token sep_token "
        "special_tokens_map_file special_tokens model_specific_special_tokens "
        "image_token audio_token video_token boi_token eoi_token boa_token eoa_token "
        "eot_token sot_token eom_token bot_token escape_token image_token_id "
        "vision_bos_token vision_eos_token think_token etr_token etc_token etd_token "
        "std_token stc_token str_token prefix_token middle_token suffix_token "
        "fill_token tool_call_start_token tool_call_end_token soc_token eoc_token"
    ),
    "decoding: llamacy's is the inverse of encoding": (
        "clean_up_tokenization_spaces decode_with_prefix_space response_schema "
        "skip_special_tokens spaces_between_special_tokens"
    ),
    "what tokenizer.json or tokenizer.model states as well": (
        "byte_fallback errors fuse_unk legacy sp_model_kwargs spm_precompiled_charsmap "
        "use_default_system_prompt use_fast vocab_size suppress_tokens trim_offsets "
        "extra_ids"
    ),
}
"""Keys without effect on the ids of a text, by what they are about."""

_WANTED: Final = {
    "split_special_tokens": False,
    "do_lower_case": False,
    "remove_space": False,
    "keep_accents": True,
    "do_remove_accents": False,
    "do_basic_tokenize": True,
}
"""Keys with effect, and their values in effect where they are missing."""

_OF_WORD_PIECES: Final = ("strip_accents", "tokenize_chinese_chars", "never_split")
_KNOWN: Final = USED.union(
    *(keys.split() for keys in HARMLESS.values()), _WANTED, _OF_WORD_PIECES
)
_NORMALIZER: Final = {
    "do_lower_case": "tokenizer.ggml.normalizer.lowercase",
    "strip_accents": "tokenizer.ggml.normalizer.strip_accents",
}
_logger = logging.getLogger("llamacy")


def check_settings(settings: JsonObject, metadata: Metadata) -> None:
    """Name the keys of tokenizer_config.json that are not known.

    Raises
    ------
    UnsupportedError
        A key asks for a treatment of texts that llamacy lacks, or contradicts the
        normalizer of tokenizer.json.
    """
    effects = _WANTED | {
        ours: metadata.values[key]
        for ours, key in _NORMALIZER.items()
        if key in metadata.values
    }
    if PIPELINE_KEY in metadata.values:
        effects["tokenize_chinese_chars"] = _splits_ideographs(metadata)
    for key, wanted in effects.items():
        if key in settings and settings.get(key) is not wanted:
            settings.refuse(key, str(wanted).lower(), settings.get(key))
    strange = sorted(key for key in settings.values if key not in _KNOWN)
    if strange:
        names = ", ".join(key[:80] for key in strange[:10])
        more = f" and {len(strange) - 10} more" if len(strange) > 10 else ""
        _logger.warning("%s: unknown keys: %s%s", settings.path, names, more)


def _splits_ideographs(metadata: Metadata) -> bool:
    """Whether ideographs become words, if a vocabulary has words at all."""
    normalizers = json.loads(metadata.values[PIPELINE_KEY])["normalizers"]
    return all(step.get("handle_chinese_chars") is not False for step in normalizers)


def override_prefix(settings: JsonObject, metadata: Metadata) -> None:
    """Let `add_prefix_space` decide, where a tokenizer.model would, as in llama.cpp."""
    key = "tokenizer.ggml.add_space_prefix"
    if "add_prefix_space" in settings and key in metadata.values:
        metadata.flag(key, settings.flag("add_prefix_space"))
