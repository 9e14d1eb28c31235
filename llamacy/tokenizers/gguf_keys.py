"""The keys `tokenizer.*` of GGUF files: those used, and those known.

Others are named in a warning, as llama.cpp's converter adds some from time to time.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from llamacy.tokenizers.attributes import (
    ADDED_KEY,
    BEGIN_KEY,
    BYTE_KEY,
    END_KEY,
    FLAG_KEYS,
    MATCHING_KEY,
    NORMALIZER_KEY,
    PIPELINE_KEY,
    PREFIX_KEY,
    SUPPRESS_FIRST_KEY,
    SUPPRESS_KEY,
)
from llamacy.tokenizers.fields import Fields

_ROLES: Final = (
    "bos eos eot eom unknown padding fim_pre fim_suf fim_mid fim_pad fim_rep fim_sep "
    "prefix suffix middle"
)

USED: Final = frozenset(
    (
        *(f"tokenizer.ggml.{role}_token_id" for role in _ROLES.split()),
        *(
            f"tokenizer.ggml.{name}"
            for name in (
                "model pre tokens token_type scores merges add_bos_token "
                "add_eos_token add_space_prefix cls_token_id separator_token_id "
                "seperator_token_id normalizer.lowercase normalizer.strip_accents "
                "precompiled_charsmap remove_extra_whitespaces"
            ).split()
        ),
        ADDED_KEY,
        *FLAG_KEYS.values(),
        *(BEGIN_KEY, END_KEY, MATCHING_KEY, NORMALIZER_KEY, PREFIX_KEY),
        *(SUPPRESS_KEY, SUPPRESS_FIRST_KEY),
        *(BYTE_KEY, PIPELINE_KEY),
        "tokenizer.chat_template",
    )
)

HARMLESS: Final = {
    "of encoders, beside the text": "add_sep_token mask_token_id token_type_count",
    "copies of what other keys say": "added_tokens",
}
"""Keys after `tokenizer.ggml.` that llama.cpp passes over in the same families."""

_KNOWN: Final = USED | {
    f"tokenizer.ggml.{name}" for names in HARMLESS.values() for name in names.split()
}
# whole files of other programs, and named templates, which the chat part reads
_OTHERS: Final = re.compile(
    r"tokenizer\.(huggingface\.json|rwkv\.world|chat_templates|chat_template\..+)"
)
_logger = logging.getLogger("llamacy")


def check_keys(fields: Fields) -> None:
    """Name the keys that nothing reads."""
    strange = [
        key
        for key in fields.keys_after("tokenizer.")
        if key not in _KNOWN and not _OTHERS.fullmatch(key)
    ]
    if strange:
        names = ", ".join(key[:80] for key in strange[:10])
        more = f" and {len(strange) - 10} more" if len(strange) > 10 else ""
        _logger.warning("%s: unknown keys: %s%s", fields.path, names, more)
